"""Names are exact, and the shares of the capacity never exceed it."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.ssd_tier import SsdTierConfig
from workbench.tiering.ssd_tier.layout import (
    Layout,
    is_ours,
    segment_name,
    segment_number,
    snapshot_bytes,
)

MIB = 1 << 20


def test_names_and_numbers_belong_together() -> None:
    assert [segment_number(segment_name(n)) for n in (0, 7, 99999, 123456)] == [0, 7, 99999, 123456]
    for name in ("segment-1", "segment-00001x", "segment-", "index", "segment-+0001"):
        assert segment_number(name) is None
    assert [is_ours(name) for name in ("lock", "index", "index.new", "segment-00000", "notes")] == [
        True,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("capacity_mib", [4, 10, 33, 1000])
def test_disk_bytes_bounded(capacity_mib: int) -> None:
    # R18, by construction; test_tier.py measures it.
    layout = Layout.of(SsdTierConfig(capacity_mib * MIB, segment_bytes=MIB))
    assert layout.limit_bytes <= capacity_mib * MIB < layout.limit_bytes + 2 * MIB
    assert layout.limit_bytes > layout.n_segments * MIB + 2 * snapshot_bytes(
        layout.n_segments, layout.max_blocks
    )


def test_too_few_and_too_many_segments_are_refused() -> None:
    with pytest.raises(UsageError, match="holds 1 segments"):
        Layout.of(SsdTierConfig(2 * MIB, segment_bytes=MIB))
    with pytest.raises(UsageError, match="change capacity_bytes or segment_bytes"):
        Layout.of(SsdTierConfig(8192 * MIB, segment_bytes=MIB))


def test_a_frame_leaves_room_for_half_a_segment() -> None:
    layout = Layout.of(SsdTierConfig(40 * MIB, segment_bytes=MIB))
    assert layout.frame_pages_max == 126
    assert layout.value_bytes_max == 125 * 4096


@pytest.mark.parametrize("number", [*range(0, 4096, 37), 4095])
def test_every_segment_has_a_name_of_its_own(number: int) -> None:
    name = segment_name(number)
    assert segment_number(name) == number
    assert is_ours(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "segment",
        "segment-0000",
        "segment-000001",
        "segment--0001",
        "segment- 0001",
        "segment-00001.bak",
        "Segment-00001",
        "xsegment-00001",
        "segment-\u0661\u0661\u0661\u0661\u0661",
        "segment-\u00b2\u00b2\u00b2\u00b2\u00b2",
        "index.old",
        "lock.1",
        "INDEX",
    ],
)
def test_files_of_others_are_not_taken_for_ours(name: str) -> None:
    assert segment_number(name) is None
    assert not is_ours(name)


@pytest.mark.parametrize(
    ("n_segments", "n_blocks", "pages"),
    [
        (3, 0, 1 + 1 + 0),
        (3, 1, 1 + 1 + 1),
        (3, 51, 1 + 1 + 1),  # 51 rows of 80 bytes are 4,080
        (3, 52, 1 + 1 + 2),
        (170, 0, 1 + 1),  # 170 rows of 24 bytes are 4,080
        (171, 0, 1 + 2),
        (4096, 100_000, 1 + 24 + 1954),
    ],
)
def test_a_snapshot_is_a_page_and_two_padded_tables(
    n_segments: int, n_blocks: int, pages: int
) -> None:
    assert snapshot_bytes(n_segments, n_blocks) == pages * 4096


@pytest.mark.parametrize("segment_pages", [8, 16, 256])
@pytest.mark.parametrize("capacity_pages", [200, 333, 1000, 4001])
def test_not_one_more_segment_would_have_fitted(segment_pages: int, capacity_pages: int) -> None:
    config = SsdTierConfig(
        capacity_pages * 4096, segment_bytes=segment_pages * 4096, max_blocks=100
    )
    if Layout(3, segment_pages, 100).limit_bytes > config.capacity_bytes:
        with pytest.raises(UsageError, match=f"capacity_bytes={config.capacity_bytes} holds"):
            Layout.of(config)
        return
    layout = Layout.of(config)
    assert layout.segment_pages == segment_pages
    assert layout.max_blocks == 100
    assert layout.limit_bytes <= config.capacity_bytes
    wider = Layout(layout.n_segments + 1, segment_pages, 100)
    assert wider.limit_bytes > config.capacity_bytes


def test_the_bound_counts_both_snapshots_and_the_lock() -> None:
    layout = Layout(5, 16, 40)
    # Five segments, two snapshots of a header, a page of segments and a page of rows, the lock.
    assert layout.limit_bytes == 5 * 16 * 4096 + 2 * 3 * 4096 + 32


def test_the_smallest_segments_still_hold_a_page() -> None:
    layout = Layout(3, 8, 64)
    assert layout.frame_pages_max == 2
    assert layout.value_bytes_max == 4096


def test_no_value_is_longer_than_its_field() -> None:
    assert Layout(3, 1 << 28, 64).value_bytes_max == (1 << 32) - 1
