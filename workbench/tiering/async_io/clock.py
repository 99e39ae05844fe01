"""Tell the time and wait, so that tests can let hours pass in no time.

Follows: injected clocks of deterministic simulation (FoundationDB, TigerBeetle).
Leaves out: wall-clock time; deadlines and latencies need a clock that never jumps.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock that can also be waited on."""

    def now_ns(self) -> int:
        """Return nanoseconds since some fixed moment."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set or the seconds have passed; return whether it is set."""

    def sleep(self, seconds: float) -> None:
        """Let the seconds pass."""


class RealClock:
    """The machine's own monotonic clock."""

    def now_ns(self) -> int:
        """Return nanoseconds since some fixed moment."""
        return time.monotonic_ns()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set or the seconds have passed; return whether it is set."""
        return event.wait(seconds)

    def sleep(self, seconds: float) -> None:
        """Let the seconds pass."""
        time.sleep(seconds)


class VirtualClock:
    """A clock that stands still until somebody waits, and then jumps to the end of the wait."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        """Return nanoseconds waited so far."""
        return self._now_ns

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Return at once whether the event is set; if it is not, the seconds have passed."""
        if not event.is_set():
            self.sleep(seconds)
        return event.is_set()

    def sleep(self, seconds: float) -> None:
        """Move the clock on."""
        with self._lock:
            self._now_ns += max(0, round(seconds * 1e9))
