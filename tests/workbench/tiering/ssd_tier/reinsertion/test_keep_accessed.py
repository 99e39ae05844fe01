"""What was read since it was written is kept."""

from workbench.tiering.ssd_tier.index import ACCESSED, EVER_READ, Entry
from workbench.tiering.ssd_tier.reinsertion.keep_accessed import KeepAccessed


def test_only_reads_since_the_last_write_count() -> None:
    kept = [
        KeepAccessed().keeps(Entry(0, 1, 100, flags, 1, bytes(16), 0))
        for flags in (0, ACCESSED, EVER_READ, ACCESSED | EVER_READ)
    ]
    assert kept == [False, True, False, True]
