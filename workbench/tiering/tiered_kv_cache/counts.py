"""Count what a cache was asked, what it decided, and what became of its writes.

Follows: everything ends in one of the ways that are named, and the sums are kept.
Leaves out: gauges (stats.py), and the SSD tier's own counters. Locking is the callers'.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class CacheCounts:
    """Counters of lookups by prefix; ``lookups`` is the sum of the six that follow.

    Attributes
    ----------
    lookups            blocks of prefixes that were asked for, counted when it is known how it ended
    hot_hits           in memory when they were asked for
    cold_hits          on the SSD tier then
    network_hits       brought over the network for this very lookup
    misses_absent      nowhere, or behind a block that was nowhere
    misses_failed      found cold, but could not be read, or behind such a block
    misses_late        found cold, but not read by the deadline, or behind such a block
    blocks_lost        cold blocks of open sequences that could not be read when they were attended
    """

    lookups: int = 0
    hot_hits: int = 0
    cold_hits: int = 0
    network_hits: int = 0
    misses_absent: int = 0
    misses_failed: int = 0
    misses_late: int = 0
    blocks_lost: int = 0


@dataclass(slots=True)
class DirectoryCounts:
    """Counters since the cache was opened.

    Attributes
    ----------
    sealed       full blocks that got a key and a slot
    duplicates   full blocks that were here already: one copy is kept
    promotions   cold blocks that became hot
    evictions    hot blocks that left for others
    forgotten    blocks that left memory and are nowhere now
    """

    sealed: int = 0
    duplicates: int = 0
    promotions: int = 0
    evictions: int = 0
    forgotten: int = 0


@dataclass(slots=True)
class WriteCounts:
    """Counters: blocks offered, and what became of them; the sum of the four others and waiting.

    Attributes
    ----------
    offered   blocks the directory wanted written
    written   stored now, or already
    failed    the SSD tier did not take them
    dropped   the queue was full
    gone      left memory before their turn, because a slot was needed
    """

    offered: int = 0
    written: int = 0
    failed: int = 0
    dropped: int = 0
    gone: int = 0
