"""Share one time limit among all the steps of a call.

Follows: every call ends by its deadline, however many requests and locks it needs.
Leaves out: interrupting anything; each step is told how long it may take.
"""

from __future__ import annotations

from workbench.tiering.async_io.clock import Clock


class Deadline:
    """A moment by which a call must have ended."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end_ns = clock.now_ns() + round(seconds * 1e9)

    def left_s(self) -> float:
        """Return the seconds left; 0 when there are none."""
        return max(0.0, (self._end_ns - self._clock.now_ns()) / 1e9)
