"""Nothing is kept, read or not; a full store forgets in the order of writing."""

from dataclasses import replace

import pytest

from tests.torture.stores import TIGHT, open_small
from tests.workbench.tiering.ssd_tier.bare_cores import entry_of, key_of, new_disk
from workbench.tiering.ssd_tier.index import ACCESSED, EVER_READ
from workbench.tiering.ssd_tier.reinsertion.keep_none import KeepNone


@pytest.mark.parametrize("flags", [0, ACCESSED, EVER_READ, ACCESSED | EVER_READ])
def test_nothing_is_kept(flags):
    assert not KeepNone().keeps(entry_of(5, flags=flags))


def test_a_full_store_keeps_the_newest_blocks_however_often_others_were_read():
    disk = new_disk()
    config = replace(TIGHT, reinsertion=KeepNone, compact_below_frac=0.0)
    with open_small(disk, disk, config) as tier:
        for number in range(40):
            assert tier.put(key_of(number), bytes([number]) * 8000)
            tier.get(key_of(0))
        counts = tier.stats().counts
        kept = [number for number in range(40) if tier.contains(key_of(number))]
        assert tier.check().sound
    assert kept
    assert kept == list(range(kept[0], 40))
    assert kept[0] > 0
    assert counts.blocks_reinserted == 0
    assert counts.blocks_evicted == kept[0]
