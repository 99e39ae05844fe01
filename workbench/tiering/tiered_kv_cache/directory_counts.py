"""Count what a directory decided.

Follows: evictions less those forgotten were demoted to the SSD tier.
Leaves out: hits and misses, which are known only once the bytes are there (stats.py).
"""

from __future__ import annotations

from dataclasses import dataclass


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
