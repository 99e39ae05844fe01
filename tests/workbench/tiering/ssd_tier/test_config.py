"""A configuration that cannot hold is refused, with every problem in it."""

from dataclasses import FrozenInstanceError, replace

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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segment_bytes", 0),
        ("segment_bytes", -4096),
        ("segment_bytes", (1 << 40) + 4096),
        ("read_deadline_s", -1.0),
        ("flush_every_s", -1.0),
    ],
)
def test_values_beyond_the_other_limits_are_named_too(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name}={value} must be"):
        SsdTierConfig(GIB, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("write_deadline_s", 0.0),
        ("read_only_retry_s", -1.0),
        ("reinsert_frac", 0.6),
        ("reinsert_frac", -0.1),
        ("compact_below_frac", float("nan")),
        ("read_deadline_s", float("nan")),
    ],
)
def test_their_companions_are_refused_as_well(name: str, value: float) -> None:
    with pytest.raises(UsageError):
        SsdTierConfig(GIB, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segment_bytes", 8 * 4096),
        ("segment_bytes", 1 << 40),
        ("max_blocks", 1),
        ("flush_every_s", None),
        ("pool_bytes", 0),
        ("compact_below_frac", 0.0),
        ("compact_below_frac", 0.5),
        ("reinsert_frac", 0.5),
        ("snapshot_every_segments", 1),
        ("errors_until_read_only", 1),
    ],
)
def test_the_limits_themselves_are_accepted(name: str, value: float | None) -> None:
    config = SsdTierConfig(GIB, **{name: value})  # type: ignore[arg-type]
    assert getattr(config, name) == value


def test_a_tiny_store_may_still_hold_64_blocks() -> None:
    assert SsdTierConfig(4096).block_limit() == 64
    assert SsdTierConfig(64 * (32 << 10) + (32 << 10)).block_limit() == 65


def test_a_change_is_checked_again_and_the_original_stays() -> None:
    config = SsdTierConfig(GIB)
    with pytest.raises(UsageError, match="pool_bytes=-1"):
        replace(config, pool_bytes=-1)
    with pytest.raises(FrozenInstanceError):
        config.pool_bytes = 0  # type: ignore[misc]
    assert config.pool_bytes == 256 << 20
