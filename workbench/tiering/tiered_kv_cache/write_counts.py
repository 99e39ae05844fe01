"""Count what became of the blocks that were to be written behind.

Follows: everything offered ends in one way, and the sum is kept.
Leaves out: the SSD tier's own counters.
"""

from __future__ import annotations

from dataclasses import dataclass


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
