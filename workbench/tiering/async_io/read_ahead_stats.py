"""Count what reading ahead was good for, so that the sums always agree.

Follows: Prometheus counters: they only grow, and whoever reads them takes differences.
Leaves out: locks; the read-ahead's own guards them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadAheadStats:
    """Counters: ``reads == hits + partial + misses``, ``chunks == used + wasted + failed + held``.

    Attributes
    ----------
    reads, hits, partial, misses : int      read requests, and those served from memory: whole, in
                                            part, not at all
    hit_bytes : int                         served from memory
    chunks, used, wasted, failed, held      pieces read ahead: of which bytes were used; dropped
                                            unused (overwritten, or their reader went elsewhere);
                                            that the engine or a full queue refused; now in memory
                                            or on their way
    fetched_bytes, wasted_bytes : int       asked of the engine; never handed to a reader
    rate : float                            recent share of chunks that were used, 0..1
    """

    reads: int
    hits: int
    partial: int
    misses: int
    hit_bytes: int
    chunks: int
    used: int
    wasted: int
    failed: int
    held: int
    fetched_bytes: int
    wasted_bytes: int
    rate: float
