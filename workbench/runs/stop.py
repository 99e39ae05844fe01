"""Ctrl-C: once finishes the running cell, twice stops now.

Follows: make and pytest; SIGTERM counts as twice, because whoever sends it will not wait.
Leaves out: what is written about a stopped run (outcome.py).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_FINISHING = b"\nfinishing the running cell; press Ctrl-C again to stop at once\n"


class StopRequested(Exception):
    """The user asked to stop, and the running cell is done."""


class Stop:
    """The user's wish to stop. Inside a ``with`` it listens to Ctrl-C; elsewhere it never comes."""

    def __init__(self) -> None:
        self.soon = threading.Event()
        self.now = threading.Event()
        self._kill: set[Callable[[], None]] = set()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and not self.soon.is_set():
            self.soon.set()
            os.write(2, _FINISHING)
        else:
            self.stop_now()

    def stop_now(self) -> None:
        """Kill what runs; nothing new begins."""
        self.soon.set()
        self.now.set()
        for kill in tuple(self._kill):
            kill()

    def on_now(self, kill: Callable[[], None]) -> None:
        """Call ``kill`` when the user will not wait any longer."""
        self._kill.add(kill)
        if self.now.is_set():
            kill()

    def forget(self, kill: Callable[[], None]) -> None:
        """Call it no more."""
        self._kill.discard(kill)

    def check(self) -> None:
        """Raise `StopRequested` once the user wants to stop."""
        if self.soon.is_set():
            raise StopRequested
