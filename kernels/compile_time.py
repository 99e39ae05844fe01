"""Count the seconds that Numba spends compiling in this process.

Follows: Numba's own compile events, whose listener is there before the first kernel is.
Leaves out: which kernel took how long; loading from Numba's cache counts as nothing.
"""

from __future__ import annotations

import time

from numba.core import event


class _Meter(event.Listener):
    """Adds up outermost compilations; Numba compiles under one lock, callees inside callers."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._began = 0.0

    def on_start(self, event: event.Event) -> None:
        """Hear that a function starts to compile."""
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def on_end(self, event: event.Event) -> None:
        """Hear that a function is compiled, or that it failed to."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began


_METER = _Meter()
event.register("numba:compile", _METER)


def seconds() -> float:
    """Return the seconds spent compiling so far, wall time."""
    return _METER.seconds
