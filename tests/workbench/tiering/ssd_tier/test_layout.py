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
