"""Let only so many requests be under way at once, the urgent ones first.

Follows: deficit-free strict priority: a demand read waits for no prefetch that has not begun.
Leaves out: taking back what is under way; the classes below demand therefore come in small steps.
"""

from __future__ import annotations

import enum
import heapq
import itertools
import threading

from workbench.tiering.async_io.clock import Clock


class Priority(enum.IntEnum):
    """Who is served first: somebody waits, somebody will, nobody does."""

    DEMAND = 0
    PREFETCH = 1
    WRITE_BACK = 2


class PriorityGate:
    """Hands out ``depth`` places; a waiter goes before all less urgent and all later ones."""

    def __init__(self, depth: int, clock: Clock) -> None:
        self._depth = depth
        self._clock = clock
        self._free = depth
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: list[tuple[Priority, int]] = []

    @property
    def n_used(self) -> int:
        """Return how many places are taken."""
        return self._depth - self._free

    def enter(self, n: int, priority: Priority, end_ns: int) -> int:
        """Wait for ``n`` places, or for all of them if there are fewer.

        Returns
        -------
        the places taken, to be given to `leave`; 0 if there was no turn before ``end_ns``
        """
        n = min(n, self._depth)
        with self._changed:
            turn = (priority, next(self._numbers))
            heapq.heappush(self._waiting, turn)
            try:
                while self._waiting[0] != turn or self._free < n:
                    left_s = (end_ns - self._clock.now_ns()) / 1e9
                    if left_s <= 0:
                        return 0
                    self._changed.wait(left_s)
                self._free -= n
                return n
            finally:
                self._waiting.remove(turn)
                heapq.heapify(self._waiting)
                # Whoever is next may have room as well, or may have waited for this turn to go.
                self._changed.notify_all()

    def leave(self, n: int) -> None:
        """Give places back."""
        with self._changed:
            self._free += n
            self._changed.notify_all()
