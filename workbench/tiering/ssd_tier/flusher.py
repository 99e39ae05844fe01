"""Flush now and then, so that a power loss takes no more than the configured seconds.

Follows: RocksDB's and Redis' periodic sync ("everysec").
Leaves out: retrying; the next round flushes what is new by then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from workbench.tiering.async_io.clock import Clock


class Flusher:
    """A thread that calls ``flush`` every so many seconds while ``dirty`` says so."""

    def __init__(
        self,
        flush: Callable[[], object],
        dirty: Callable[[], bool],
        clock: Clock,
        every_s: float,
    ) -> None:
        self._flush = flush
        self._dirty = dirty
        self._clock = clock
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ssd-tier-flush", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a flush under way is waited for, as long as its own deadline allows."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        # Half the interval: what is put just after a round still waits less than a whole one.
        while not self._clock.wait(self._stop, self._every_s / 2):
            if self._dirty():
                self._flush()
