"""Look like an engine to whoever wants one, and go through a scheduler at one priority.

Follows: engine.Engine, so that a store need not know whether its blocks are scheduled.
Leaves out: closing the scheduler or the engine below, which others may use too.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path

from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    EngineStats,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.async_io.scheduler import Scheduler
from workbench.tiering.async_io.tally import Tally
from workbench.tiering.async_io.ticket import Priority


class Lane:
    """One user's way through a scheduler; answers `engine.Engine`."""

    def __init__(self, scheduler: Scheduler, priority: Priority = Priority.DEMAND) -> None:
        self._scheduler = scheduler
        self._priority = priority
        self._lock = threading.Lock()
        self._tally = Tally()
        self._files: set[int] = set()
        self._closed = False

    def open(self, path: Path, *, writable: bool = True) -> int:
        """Open an existing regular file and return its handle."""
        self._refuse_closed()
        file = self._scheduler.open(path, writable=writable)
        with self._lock:
            self._files.add(file)
        return file

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        """Carry a batch out at this lane's priority; see `Scheduler.submit`.

        ``on_whole`` is never called: merged and sorted, a batch arrives in another order.
        """
        self._refuse_closed()
        completions = self._scheduler.submit(batch, self._priority, deadline_s)
        whole = [done.request for done in completions if done.error is None]
        if len(whole) == len(batch) and {request.op for request in whole} == {"read"}:
            n_bytes = sum([request.n_bytes for request in whole])
            self._tally.add({"reads": len(whole), "read_bytes": n_bytes})
        else:
            self._tally.count(completions)
        return completions

    def forget(self, file: int) -> None:
        """Close one file; its handle is never given out again."""
        with self._lock:
            self._files.discard(file)
        self._scheduler.forget(file)

    def stats(self) -> EngineStats:
        """Return the counters of what this lane's user saw; the rest is the engine's below."""
        below, own = self._scheduler.engine_stats(), self._tally.stats("", True, "")
        return dataclasses.replace(
            own,
            kind=f"{self._priority.word} on {below.kind}",
            short_transfers=below.short_transfers,
            stale_completions=below.stale_completions,
            pinned_buffers=below.pinned_buffers,
            direct=below.direct,
            fallback_reason=below.fallback_reason,
        )

    def close(self) -> None:
        """Close the files that were opened here; closing twice is harmless."""
        self._closed = True
        with self._lock:
            files, self._files = self._files, set()
        for file in files:
            self._scheduler.forget(file)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageError("the engine is closed; open another one")
