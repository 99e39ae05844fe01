"""Hold what waits behind demand reads, and say whose turn it is.

Follows: mq-deadline's expiry: whoever has been starved for long goes on, whatever comes first.
Leaves out: locks (the scheduler's guards it), counting, and waiting for room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.tiering.async_io.engine import Request
from workbench.tiering.async_io.merge import MERGED_BYTES
from workbench.tiering.async_io.pending_writes import PendingWrites
from workbench.tiering.async_io.request_queue import Outcomes, RequestQueue
from workbench.tiering.async_io.ticket import Priority, Ticket


@dataclass(frozen=True, slots=True)
class Limits:
    """What the queues and slices of a scheduler may grow to.

    Attributes
    ----------
    prefetch_requests : int     waiting at most; beyond it a prefetch is dropped
    write_back_requests : int   waiting at most; beyond it whoever writes waits
    slice_bytes : int           of one slice: what a demand read may find under way at most
    merged_bytes : int          of one merged request
    patience_s : float          how long demand reads may hold the lower priorities back at a time
    """

    prefetch_requests: int = 1024
    write_back_requests: int = 1024
    slice_bytes: int = 4 << 20
    merged_bytes: int = MERGED_BYTES
    patience_s: float = 0.1


@dataclass(slots=True)
class Pressing:
    """What comes before the lower priorities, and what makes one of them urgent.

    Attributes
    ----------
    demand : int    demand batches under way
    urgent : int    demand batches that wait behind a queued write to their bytes
    hurried : int   demand reads that wait for a prefetch
    """

    demand: int = 0
    urgent: int = 0
    hurried: int = 0


class Waiting:
    """The queues of prefetches and of write-backs, and the writes that are still to come.

    Attributes
    ----------
    prefetches, write_backs : RequestQueue   in the order they came; a request that has to come
                                             after a queued write waits in the write's queue
    writes : PendingWrites                   queued and under way
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.prefetches = RequestQueue(limits.prefetch_requests)
        self.write_backs = RequestQueue(limits.write_back_requests)
        self.writes = PendingWrites()

    @property
    def n_requests(self) -> int:
        """Return how many requests have not been begun."""
        return self.prefetches.n_requests + self.write_backs.n_requests

    def follows_write(self, requests: Sequence[Request]) -> bool:
        """Return whether a request touches bytes that a write before it has still to change."""
        return bool(self.writes) and any(self.writes.overlaps(one) for one in requests)

    def queue_for(self, ticket: Ticket) -> RequestQueue:
        """Return the queue of a ticket's priority; behind a write to the same bytes, its queue."""
        if ticket.priority is Priority.PREFETCH and not self.follows_write(ticket.requests):
            return self.prefetches
        return self.write_backs

    def refusal(self, queue: RequestQueue, ticket: Ticket) -> str:
        """Return why a prefetch does not fit, or ""."""
        n, most = len(ticket.requests), self._limits.prefetch_requests
        if queue.has_room(n) and n <= most:
            return ""
        if queue is self.prefetches:
            return f"the prefetch queue is full (limit {most} requests)"
        return "a write comes first, and the write-back queue is full"

    def put(self, queue: RequestQueue, ticket: Ticket) -> None:
        """Add a ticket at the end of a queue."""
        self.writes.add(ticket.requests)
        queue.put(ticket)

    def withdraw(self, ticket: Ticket) -> list[int]:
        """Take a ticket out and return the numbers of its requests that had not been begun."""
        return self.prefetches.withdraw(ticket) or self.write_backs.withdraw(ticket)

    def expire(self, now_ns: int) -> Outcomes:
        """Take the tickets at the fronts out whose deadline has passed."""
        return self.prefetches.expire(now_ns) + self.write_backs.expire(now_ns)

    def turn(self, now_ns: int, pressing: Pressing, *, closed: bool) -> RequestQueue | None:
        """Return the queue whose turn it is, or None while demand comes first."""
        prefetches, write_backs = self.prefetches, self.write_backs
        if pressing.urgent and write_backs.n_requests:
            return write_backs
        if pressing.hurried and prefetches.n_requests:
            return prefetches
        patience_ns = int(self._limits.patience_s * 1e9)
        waited = [queue.waited_ns(now_ns) for queue in (prefetches, write_backs)]
        if max(waited) >= patience_ns:
            # Whoever is starved goes on, even beside a demand batch.
            return prefetches if waited[0] >= waited[1] else write_backs
        if pressing.demand and not closed:
            return None
        if prefetches.n_requests:
            return prefetches
        return write_backs if write_backs.n_requests else None

    def pause_s(self) -> float | None:
        """Return after what time a queue may be starved; None if there is nothing to wait for."""
        return self._limits.patience_s if self.n_requests else None
