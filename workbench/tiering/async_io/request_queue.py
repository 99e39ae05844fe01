"""Keep the requests of one priority in order, up to a limit, and cut the next slice off them.

Follows: first in, first out; slices small enough that whoever is more urgent waits for one only.
Leaves out: locks (the scheduler's guards every queue) and which queue is served next.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from workbench.tiering.async_io.engine import Completion, DeadlineError, Request
from workbench.tiering.async_io.pending_writes import PendingWrites
from workbench.tiering.async_io.ticket import Ticket

Outcomes = list[tuple[Ticket, list[tuple[int, Completion]]]]
# Requests travel together when their deadlines differ by no more than this part of the time left.
_DEADLINE_FRAC = 1 / 8


@dataclass(slots=True)
class Slice:
    """What the device gets next: one operation, one priority, no two writes that overlap.

    ``end_ns`` is the earliest of their deadlines.
    """

    requests: list[Request] = field(default_factory=list)
    origins: list[tuple[Ticket, int]] = field(default_factory=list)
    n_bytes: int = 0
    end_ns: int = 0

    def outcomes(self, completions: list[Completion]) -> Outcomes:
        """Return the completions ticket by ticket."""
        by_ticket: dict[int, tuple[Ticket, list[tuple[int, Completion]]]] = {}
        for (ticket, number), completion in zip(self.origins, completions, strict=True):
            by_ticket.setdefault(id(ticket), (ticket, []))[1].append((number, completion))
        return list(by_ticket.values())


class RequestQueue:
    """Tickets whose requests have not all been begun, oldest first."""

    def __init__(self, most_requests: int) -> None:
        self._tickets: deque[Ticket] = deque()
        self._most_requests = most_requests
        self.n_requests = 0
        self.served_ns = 0

    def has_room(self, n_requests: int) -> bool:
        """Return whether that many fit; a batch beyond the limit fits into an empty queue."""
        return self.n_requests == 0 or self.n_requests + n_requests <= self._most_requests

    def put(self, ticket: Ticket) -> None:
        """Add a ticket at the end."""
        self._tickets.append(ticket)
        self.n_requests += len(ticket.requests)

    def withdraw(self, ticket: Ticket) -> list[int]:
        """Take a ticket out and return the numbers of its requests that had not been begun."""
        if ticket not in self._tickets:
            return []
        self._tickets.remove(ticket)
        return self._rest(ticket)

    def clear(self) -> list[tuple[Ticket, list[int]]]:
        """Take everything out."""
        taken = [(ticket, self._rest(ticket)) for ticket in self._tickets]
        self._tickets.clear()
        return taken

    def waited_ns(self, now_ns: int) -> int:
        """Return how long the queue has had something to do and was not served; 0 if empty."""
        if not self._tickets:
            return 0
        return now_ns - max(self.served_ns, self._tickets[0].queued_ns)

    def expire(self, now_ns: int) -> Outcomes:
        """Take the tickets at the front out whose deadline has passed."""
        late: Outcomes = []
        while self._tickets and self._tickets[0].end_ns <= now_ns:
            ticket = self._tickets.popleft()
            late.append(
                (
                    ticket,
                    [
                        (number, Completion(request, now_ns - ticket.queued_ns, _late(ticket)))
                        for number in self._rest(ticket)
                        for request in [ticket.requests[number]]
                    ],
                )
            )
        return late

    def cut(self, most_requests: int, most_bytes: int, now_ns: int) -> Slice:
        """Take the next slice off the front: at least one request, if there is one."""
        taken = Slice()
        writes = PendingWrites()
        while self._tickets and len(taken.requests) < most_requests:
            ticket = self._tickets[0]
            request = ticket.requests[ticket.begun]
            if taken.requests and not self._joins(taken, ticket, request, writes, now_ns):
                break
            if taken.n_bytes and taken.n_bytes + request.n_bytes > most_bytes:
                break
            taken.requests.append(request)
            taken.origins.append((ticket, ticket.begun))
            taken.n_bytes += request.n_bytes
            taken.end_ns = min(taken.end_ns or ticket.end_ns, ticket.end_ns)
            writes.add([request])
            ticket.begun += 1
            self.n_requests -= 1
            if ticket.begun == len(ticket.requests):
                self._tickets.popleft()
        self.served_ns = now_ns
        return taken

    @staticmethod
    def _joins(
        taken: Slice, ticket: Ticket, request: Request, writes: PendingWrites, now_ns: int
    ) -> bool:
        # A sync covers the writes that were completed before it, so it comes after them, alone.
        if request.op != taken.requests[0].op or request.op == "sync":
            return False
        if ticket.priority is not taken.origins[0][0].priority:
            return False
        if abs(ticket.end_ns - taken.end_ns) > (taken.end_ns - now_ns) * _DEADLINE_FRAC:
            return False
        return request.op != "write" or not writes.overlaps(request)

    def _rest(self, ticket: Ticket) -> list[int]:
        rest = list(range(ticket.begun, len(ticket.requests)))
        self.n_requests -= len(rest)
        ticket.begun = len(ticket.requests)
        return rest


def _late(ticket: Ticket) -> DeadlineError:
    return DeadlineError(
        f"a {ticket.priority.word} request still waited for its turn after {ticket.deadline_s:g} s"
    )


def settle(outcomes: Outcomes) -> None:
    """Tell every ticket what became of its requests; not to be called under the queues' lock."""
    for ticket, ended in outcomes:
        if ended:
            ticket.settle(ended)
