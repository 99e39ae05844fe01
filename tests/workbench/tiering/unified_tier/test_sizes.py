"""Sizes as people write them."""

import pytest

from workbench.tiering.unified_tier.sizes import parse_size, shown_size


@pytest.mark.parametrize(
    ("said", "n_bytes"),
    [
        ("4096", 4096),
        ("1 KiB", 1024),
        ("1.5GiB", 3 << 29),
        (" 2 TiB ", 2 << 40),
        (7, 7),
        ("0 B", 0),
    ],
)
def test_texts_are_bytes(said, n_bytes):
    assert parse_size(said) == n_bytes


@pytest.mark.parametrize("said", ["", "many", "1 GB", "-1 MiB", "1 2 MiB", "MiB"])
def test_what_is_no_size_is_refused(said):
    with pytest.raises(ValueError, match="KiB, MiB, GiB or TiB"):
        parse_size(said)


def test_sizes_are_shown_in_their_largest_unit():
    shown = [shown_size(n) for n in (0, 5, 1023, 1024, 3 << 29, 5 << 40)]
    assert shown == ["0 B", "5 B", "1,023 B", "1 KiB", "1.5 GiB", "5 TiB"]
