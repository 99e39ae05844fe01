"""Let callers wait for blocks that are on their way, and share those that others fetch already.

Follows: Go's singleflight; a caller gives up by its budget, or when nothing has come for one op
time-out, and what comes later is thrown away.
Leaves out: the fetching (workers.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workbench.tiering.distributed_tier.link import Link
from workbench.tiering.distributed_tier.miss import Miss
from workbench.tiering.distributed_tier.node import Node


class Waiter:
    """One call that waits for several flights."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._changed = threading.Condition(threading.Lock())
        self._left = 0
        self._came = 0

    def expect(self) -> None:
        """Wait for one more."""
        with self._changed:
            self._left += 1

    def arrive(self) -> None:
        """Note that one ended."""
        with self._changed:
            self._left -= 1
            self._came += 1
            self._changed.notify()

    def wait(self, budget_s: float | None, quiet_s: float) -> None:
        """Wait until all ended, the budget is used up, or none has ended for so long."""
        end = None if budget_s is None else time.monotonic() + budget_s
        with self._changed:
            while self._left:
                came = self._came

                def has_come(before: int = came) -> bool:
                    return not self._left or self._came != before

                left = quiet_s if end is None else min(quiet_s, end - time.monotonic())
                if left <= 0:
                    return
                self._changed.wait_for(has_come, left)
                if self._came == came:
                    return


@dataclass(eq=False, slots=True)
class Flight:
    """Something that a node was asked for.

    Attributes
    ----------
    node : Node
    work : callable             does it, given a connection to the node
    key : bytes or None         the block; None: not to be shared
    outcome : object or Miss    what came of it; None until it ended
    """

    node: Node
    work: Callable[[Link], Any]
    key: bytes | None = None
    outcome: Any = None
    waiters: list[Waiter] = field(default_factory=list)


class Flights:
    """All flights of one tier. Safe between threads."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self._by_key: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        """Return how many blocks are on their way."""
        return len(self._by_key)

    def join(self, waiter: Waiter, wanted: Flight) -> tuple[Flight, bool]:
        """Wait for a flight, or for the one that its block is on; return it, and if it is new."""
        waiter.expect()
        with self._lock:
            flight = wanted if wanted.key is None else self._by_key.setdefault(wanted.key, wanted)
            flight.waiters.append(waiter)
        return flight, flight is wanted

    def leave(self, waiter: Waiter, flight: Flight) -> Any:
        """Return what came of a flight; LATE, and nothing more, if it is still under way."""
        with self._lock:
            if waiter in flight.waiters:
                flight.waiters.remove(waiter)
            return Miss.LATE if flight.outcome is None else flight.outcome

    def is_wanted(self, flight: Flight) -> bool:
        """Return whether anybody waits; if nobody does, the flight ends here."""
        with self._lock:
            if flight.waiters:
                return True
            self._forget(flight)
            return False

    def end(self, flight: Flight, outcome: object) -> None:
        """Tell everybody who waits what came of it."""
        with self._lock:
            flight.outcome = outcome
            self._forget(flight)
            waiters, flight.waiters = flight.waiters, []
        for waiter in waiters:
            waiter.arrive()

    def _forget(self, flight: Flight) -> None:
        if flight.key is not None and self._by_key.get(flight.key) is flight:
            del self._by_key[flight.key]
