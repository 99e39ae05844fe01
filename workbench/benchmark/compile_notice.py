"""Say on stderr that kernels are being compiled, so that a first start is not silent for a minute.

Follows: long work shows progress; Numba's own events, which its on-disk cache does not raise.
Leaves out: measuring it (each benchmark warms up by itself), and notebooks, whose setup cell says.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

_EVENT = "numba:compile"
_UNNOTICED_S = 1.0


class _Notice(event.Listener):  # type: ignore[misc]  # Numba has no types
    """Announces the first compilation, and says at the end how many there were."""

    def __init__(self) -> None:
        self.n_compiled = 0
        self._depth = 0
        self._started = 0.0
        self.seconds = 0.0

    def on_start(self, _: Any) -> None:
        if not self.n_compiled and not self._depth:
            print("compiling kernels, once per checkout ...", file=sys.stderr, flush=True)
        if not self._depth:
            self._started = time.perf_counter()
        self._depth += 1

    def on_end(self, _: Any) -> None:
        self._depth -= 1
        self.n_compiled += 1
        if not self._depth:
            self.seconds += time.perf_counter() - self._started


@contextmanager
def compile_notice() -> Iterator[None]:
    """Announce on stderr, while this is open, that something is compiled, and at its end how much.

    Nothing is said when all kernels come from Numba's cache.
    """
    notice = _Notice()
    with event.install_listener(_EVENT, notice):
        yield
    if notice.seconds > _UNNOTICED_S:
        n, seconds = notice.n_compiled, notice.seconds
        print(f"compiled {n} kernels in {seconds:.0f} s", file=sys.stderr, flush=True)
