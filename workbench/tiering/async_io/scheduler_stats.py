"""Count what became of the requests of each priority, so that the sums always agree.

Follows: Prometheus counters: they only grow, and whoever reads them takes differences.
Leaves out: locks (the scheduler's guards them) and the engine's own counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.tiering.async_io.ticket import Priority


@dataclass(slots=True)
class ClassStats:
    """Counters of one priority since the scheduler was made.

    ``requests == done + failed + dropped + waiting`` and
    ``done + failed == cached + transfers - retried + merged``.

    Attributes
    ----------
    requests : int    asked for
    done : int        every byte moved
    failed : int      the engine answered with an error
    dropped : int     never reached the engine: full queue, deadline, withdrawn, closed
    cached : int      served from memory by read-ahead
    transfers : int   requests that the engine saw
    merged : int      requests that travelled within another one
    retried : int     transfers that repeat a piece of a merged one that failed
    bytes : int       of what is done
    waited_ns : int   between being asked for and reaching the engine, summed; a demand batch that
                      goes straight to it has not waited
    """

    requests: int = 0
    done: int = 0
    failed: int = 0
    dropped: int = 0
    cached: int = 0
    transfers: int = 0
    merged: int = 0
    retried: int = 0
    bytes: int = 0
    waited_ns: int = 0

    @property
    def waiting(self) -> int:
        """Return how many are queued or under way."""
        return self.requests - self.done - self.failed - self.dropped


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    """What a scheduler did.

    Attributes
    ----------
    classes : mapping    `ClassStats` by priority
    straight : int       demand batches that went to the engine from the thread that asked
    ordered : int        demand batches that had to wait for a queued write to the same bytes
    """

    classes: Mapping[Priority, ClassStats]
    straight: int
    ordered: int
