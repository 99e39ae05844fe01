"""Count what an engine did, from several threads, so that the sums always agree.

Follows: ``reads + writes + syncs + errors == submitted`` (engine.EngineStats).
Leaves out: latencies; every completion carries its own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from workbench.tiering.async_io.engine import Completion, DeadlineError, EngineStats


class Tally:
    """The counters of one engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reads = self._writes = self._syncs = self._errors = 0
        self._read_bytes = self._written_bytes = 0
        self._short = self._missed = self._stale = 0

    def count(self, completions: Sequence[Completion], short_transfers: int = 0) -> None:
        """Add one batch's completions, and the calls in it that moved less than asked."""
        reads = writes = syncs = errors = missed = read_bytes = written_bytes = 0
        for request, _, error in completions:
            if error is not None:
                errors += 1
                missed += isinstance(error, DeadlineError)
            elif request.op == "read":
                reads += 1
                read_bytes += request.n_bytes
            elif request.op == "write":
                writes += 1
                written_bytes += request.n_bytes
            else:
                syncs += 1
        with self._lock:
            self._reads += reads
            self._writes += writes
            self._syncs += syncs
            self._errors += errors
            self._read_bytes += read_bytes
            self._written_bytes += written_bytes
            self._short += short_transfers
            self._missed += missed

    def count_moved(self, op: str, n: int, n_bytes: int) -> None:
        """Add ``n`` whole requests of one direction, for batches without request objects."""
        with self._lock:
            if op == "read":
                self._reads += n
                self._read_bytes += n_bytes
            else:
                self._writes += n
                self._written_bytes += n_bytes

    def count_failed(self, n: int, n_missed: int = 0) -> None:
        """Add ``n`` failed requests, ``n_missed`` of them for their deadline."""
        with self._lock:
            self._errors += n
            self._missed += n_missed

    def count_short(self, n: int) -> None:
        """Add calls that moved less than asked and went on."""
        with self._lock:
            self._short += n

    def count_stale(self, n: int = 1) -> None:
        """Add answers that came after their deadline."""
        with self._lock:
            self._stale += n

    def stats(self, kind: str, direct: bool, fallback_reason: str, pinned: int = 0) -> EngineStats:
        """Return the counters, consistent with each other."""
        with self._lock:
            return EngineStats(
                kind=kind,
                submitted=self._reads + self._writes + self._syncs + self._errors,
                reads=self._reads,
                writes=self._writes,
                syncs=self._syncs,
                errors=self._errors,
                read_bytes=self._read_bytes,
                written_bytes=self._written_bytes,
                short_transfers=self._short,
                deadlines_missed=self._missed,
                stale_completions=self._stale,
                pinned_buffers=pinned,
                direct=direct,
                fallback_reason=fallback_reason,
            )
