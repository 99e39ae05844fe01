"""A configuration that cannot hold is refused, with every problem in it."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.ssd_tier import SsdTierConfig

GIB = 1 << 30


def test_one_block_for_every_32_kib_is_the_default() -> None:
    assert SsdTierConfig(GIB).block_limit() == 32768
    assert SsdTierConfig(GIB, max_blocks=7).block_limit() == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segment_bytes", 4096 * 7),
        ("segment_bytes", 1 << 20 | 1),
        ("max_blocks", 0),
        ("read_deadline_s", 0.0),
        ("flush_every_s", 0.0),
        ("snapshot_every_segments", 0),
        ("errors_until_read_only", 0),
        ("pool_bytes", -1),
        ("compact_below_frac", 0.6),
    ],
)
def test_values_out_of_range_are_named(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name}={value}"):
        SsdTierConfig(GIB, **{name: value})  # type: ignore[arg-type]


def test_all_problems_come_at_once() -> None:
    with pytest.raises(UsageError) as told:
        SsdTierConfig(GIB, segment_bytes=1, max_blocks=0)
    assert len(told.value.problems) == 2
