"""What was read since it was written is kept: by the bit, and in a store that runs full."""

from dataclasses import replace

import pytest

from tests.torture.stores import TIGHT, open_small
from tests.workbench.tiering.ssd_tier.bare_cores import entry_of, key_of, new_disk
from workbench.tiering.ssd_tier.index import ACCESSED, EVER_READ
from workbench.tiering.ssd_tier.reinsertion.keep_accessed import KeepAccessed


@pytest.mark.parametrize(
    ("flags", "kept"),
    [(0, False), (ACCESSED, True), (EVER_READ, False), (ACCESSED | EVER_READ, True)],
)
def test_only_reads_since_the_last_write_count(flags, kept):
    assert KeepAccessed().keeps(entry_of(5, flags=flags)) is kept


def test_a_block_in_use_outlives_its_segment_and_others_do_not():
    disk = new_disk()
    config = replace(TIGHT, reinsertion=KeepAccessed)
    with open_small(disk, disk, config) as tier:
        assert tier.put(key_of(0), b"wanted" * 1000)
        assert tier.put(key_of(1), b"unwanted" * 1000)
        for number in range(2, 40):
            assert tier.get(key_of(0)) == b"wanted" * 1000
            assert tier.put(key_of(number), bytes([number]) * 8000)
        counts = tier.stats().counts
        assert not tier.contains(key_of(1))
        assert tier.check().sound
    assert counts.segments_reclaimed > 3
    assert counts.blocks_reinserted >= 1


def test_it_is_what_a_store_does_unless_told_otherwise():
    assert TIGHT.reinsertion is KeepAccessed
