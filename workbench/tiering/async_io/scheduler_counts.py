"""Count what becomes of a scheduler's requests, class by class.

Follows: every request is counted when it comes, and once more when it has ended.
Leaves out: locking: the scheduler's own lock is held around every call.
"""

from __future__ import annotations

import dataclasses

from workbench.tiering.async_io.merge import Moved
from workbench.tiering.async_io.scheduler_stats import ClassStats, SchedulerStats
from workbench.tiering.async_io.ticket import Priority


class SchedulerCounts:
    """The counters behind `SchedulerStats`."""

    def __init__(self) -> None:
        self._classes = {priority: ClassStats() for priority in Priority}
        self._straight = self._ordered = 0

    def straight(self, n_requests: int) -> None:
        """Count a demand batch that goes straight to the engine."""
        self._straight += 1
        self._classes[Priority.DEMAND].requests += n_requests

    def ordered(self, n_requests: int) -> None:
        """Count a demand batch that waits for a queued write."""
        self._ordered += 1
        self._classes[Priority.DEMAND].requests += n_requests

    def queued(self, priority: Priority, n_requests: int) -> None:
        """Count requests that are queued, or refused."""
        self._classes[priority].requests += n_requests

    def cached(self, n_requests: int, n_bytes: int) -> None:
        """Count demand requests that came from memory whole, and all bytes that did."""
        stats = self._classes[Priority.DEMAND]
        stats.requests += n_requests
        stats.cached += n_requests
        stats.done += n_requests
        stats.bytes += n_bytes

    def moved(self, priority: Priority, moved: Moved) -> None:
        """Count what the engine made of requests."""
        stats = self._classes[priority]
        stats.transfers += moved.transfers
        stats.merged += moved.merged
        stats.retried += moved.retried
        whole = [request for request, _, error in moved.completions if error is None]
        stats.done += len(whole)
        stats.failed += len(moved.completions) - len(whole)
        stats.bytes += sum(
            [request.n_bytes if request.rest else request.buffer.nbytes for request in whole]
        )

    def failed(self, priority: Priority, n_requests: int) -> None:
        """Count requests that the engine refused with an exception."""
        self._classes[priority].failed += n_requests
        self._classes[priority].transfers += n_requests

    def dropped(self, priority: Priority, n_requests: int) -> None:
        """Count requests that were never begun."""
        self._classes[priority].dropped += n_requests

    def waited(self, priority: Priority, waited_ns: int) -> None:
        """Count the time that a request spent in its queue."""
        self._classes[priority].waited_ns += waited_ns

    def stats(self) -> SchedulerStats:
        """Return all counters."""
        classes = {priority: dataclasses.replace(one) for priority, one in self._classes.items()}
        return SchedulerStats(classes, self._straight, self._ordered)
