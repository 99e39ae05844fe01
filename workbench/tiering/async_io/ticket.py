"""What somebody holds who handed requests over to be carried out later.

Follows: futures, but for a batch: it can be waited for, in part withdrawn, and always ends.
Leaves out: when requests are carried out (scheduler.py).
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Sequence
from time import monotonic_ns

from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    DeadlineError,
    Request,
    StorageError,
)

Settled = Callable[[Sequence[tuple[int, Completion]]], None]


class Priority(enum.IntEnum):
    """Who goes first: somebody waits for it now, somebody may want it soon, nobody waits."""

    DEMAND = 0
    PREFETCH = 1
    WRITE_BACK = 2

    @property
    def word(self) -> str:
        """Return its name for messages."""
        return self.name.lower().replace("_", "-")


class DroppedError(StorageError):
    """The request never reached the device: its queue was full, or it was withdrawn."""


class Ticket:
    """The outcome of one batch, as far as it is known; safe from several threads."""

    def __init__(
        self,
        batch: Sequence[Request],
        priority: Priority,
        deadline_s: float,
        withdraw: Callable[[Ticket], int],
        settled: Settled | None = None,
    ) -> None:
        """Note a batch; the scheduler makes tickets.

        Parameters
        ----------
        withdraw : callable   takes this ticket's waiting requests out of the queue
        settled : callable    is told the numbers and completions that have come, or None
        """
        self.requests = list(batch)
        self.priority = priority
        self.deadline_s = deadline_s
        self.queued_ns = monotonic_ns()
        self.end_ns = self.queued_ns + int(deadline_s * 1e9)
        # The number of the first request that still waits in the queue; the queue's lock guards it.
        self.begun = 0
        self._withdraw = withdraw
        self._settled = settled
        self._lock = threading.Lock()
        self._completions: list[Completion | None] = [None] * len(self.requests)
        self._left = len(self.requests)
        self._over = threading.Event()
        if not self.requests:
            self._over.set()

    @property
    def done(self) -> bool:
        """Return whether every request has its completion."""
        return self._over.is_set()

    def wait(self, deadline_s: float = DEFAULT_DEADLINE_S) -> list[Completion]:
        """Return one completion a request, in the batch's order, within ``deadline_s`` seconds.

        What is not over by then is answered with `DeadlineError`; it goes on all the same, so its
        buffer must be left alone until `done`.
        """
        self._over.wait(max(0.0, deadline_s))
        with self._lock:
            return [
                known or Completion(request, 0, self._late(request, deadline_s))
                for known, request in zip(self._completions, self.requests, strict=True)
            ]

    def cancel(self) -> int:
        """Withdraw what has not been begun, and return how many requests that were.

        They complete with `DroppedError`; the others go on.
        """
        return self._withdraw(self)

    def settle(self, outcomes: Sequence[tuple[int, Completion]]) -> None:
        """Note completions by the number of their request; each number comes once."""
        if self._settled is not None:
            self._settled(outcomes)
        with self._lock:
            for number, completion in outcomes:
                self._completions[number] = completion
            self._left -= len(outcomes)
            if self._left == 0:
                self._over.set()

    def dropped(self, places: Sequence[int], why: str) -> list[tuple[int, Completion]]:
        """Return the outcome of requests that will not be carried out, by their numbers."""
        return [(place, self._dropped(self.requests[place], why)) for place in places]

    def _dropped(self, request: Request, why: str) -> Completion:
        what = f"{self.priority.word} {request.op} at {request.offset}: {why}"
        return Completion(request, 0, DroppedError(what))

    def _late(self, request: Request, deadline_s: float) -> DeadlineError:
        return DeadlineError(
            f"{self.priority.word} {request.op} at {request.offset} of file {request.file} was not "
            f"over within {deadline_s:g} s; it goes on"
        )
