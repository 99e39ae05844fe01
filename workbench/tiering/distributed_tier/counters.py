"""Count what a network tier did, so that the sums always agree.

Follows: lookups == hits + misses; misses and puts == the sums of their outcomes.
Leaves out: states of the moment (stats.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.tiering.counting import Counting
from workbench.tiering.distributed_tier.miss import Miss


@dataclass(slots=True)
class Counts:
    """Counters since the tier was opened.

    Attributes
    ----------
    lookups, hits, misses            blocks asked for; ``lookups == hits + misses``
    misses_absent .. misses_refused  one for each `Miss`; their sum is ``misses``
    fetches                          blocks asked of a server; fewer than lookups when callers share
    hit_bytes                        stored bytes of hits
    asked, asked_known               keys that `contains_many` was asked for, and those it found
    puts                             blocks offered; the sum of the next five, and those waiting
    puts_written, puts_failed        stored on the server now; not
    puts_dropped                     the queue was full, or the tier was closed before their turn
    puts_refused                     not tried: breaker open, server full, tier closed
    puts_too_large                   above max_block_bytes
    written_bytes                    stored bytes of blocks written
    out_of_memory                    writes that the server had no memory for
    breakers_opened, probes, recoveries
    connects                         connections made
    connections_dropped              because of a time-out, an error or a strange reply
    """

    lookups: int = 0
    hits: int = 0
    misses: int = 0
    misses_absent: int = 0
    misses_partial: int = 0
    misses_damaged: int = 0
    misses_wrong_type: int = 0
    misses_too_large: int = 0
    misses_foreign: int = 0
    misses_late: int = 0
    misses_failed: int = 0
    misses_loading: int = 0
    misses_moved: int = 0
    misses_denied: int = 0
    misses_refused: int = 0
    fetches: int = 0
    hit_bytes: int = 0
    asked: int = 0
    asked_known: int = 0
    puts: int = 0
    puts_written: int = 0
    puts_failed: int = 0
    puts_dropped: int = 0
    puts_refused: int = 0
    puts_too_large: int = 0
    written_bytes: int = 0
    out_of_memory: int = 0
    breakers_opened: int = 0
    probes: int = 0
    recoveries: int = 0
    connects: int = 0
    connections_dropped: int = 0


class Counters(Counting[Counts]):
    """The counters of one tier; safe to use from several threads."""

    def __init__(self) -> None:
        super().__init__(Counts())

    def looked_up(self, hits: int, hit_bytes: int, misses: list[Miss]) -> None:
        """Count one call's lookups."""
        steps: dict[str, int] = {}
        for why in misses:
            name = f"misses_{why.value}"
            steps[name] = steps.get(name, 0) + 1
        n = len(misses)
        self.add(lookups=hits + n, hits=hits, hit_bytes=hit_bytes, misses=n, **steps)
