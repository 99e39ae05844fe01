"""Hand out things that arrive one after another to the threads that work on them.

Follows: whoever is free takes the next one; nobody waits for a thread that is busy elsewhere.
Leaves out: what arrives, and what becomes of it: both are the caller's, by number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Arriving:
    """Numbers from 0 on, each of which is taken once, after it arrived. Safe between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_here = self._n_taken = 0
        self._ended = False

    @property
    def n_here(self) -> int:
        """Return how many have arrived."""
        return self._n_here

    @property
    def n_waiting(self) -> int:
        """Return how many have arrived and are not taken."""
        return self._n_here - self._n_taken

    def arrive(self, n_here: int) -> None:
        """Say that the first so many are here."""
        with self._changed:
            self._n_here = n_here
            self._changed.notify()

    def end(self, n_here: int | None = None) -> None:
        """Say that no more will come than so many; None: than have."""
        with self._changed:
            self._n_here = self._n_here if n_here is None else n_here
            self._ended = True
            self._changed.notify_all()

    def take(self) -> int | None:
        """Return the next one, None if it is not here."""
        with self._changed:
            number = self._n_taken
            if number == self._n_here:
                return None
            self._n_taken += 1
            return number

    def follow(self, work: Callable[[int], None]) -> None:
        """Work on one after another until no more come."""
        while (number := self.take()) is not None or not self._ended:
            if number is not None:
                work(number)
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self.n_waiting > 0)
