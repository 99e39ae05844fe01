"""Count what an engine did, from several threads, so that the sums always agree.

Follows: ``reads + writes + syncs + errors == submitted`` (engine.EngineStats).
Leaves out: latencies; every completion carries its own.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from workbench.tiering.async_io.engine import Completion, DeadlineError, EngineStats

Count = Literal[
    "reads",
    "writes",
    "syncs",
    "errors",
    "read_bytes",
    "written_bytes",
    "short_transfers",
    "deadlines_missed",
    "stale_completions",
]


class Tally:
    """The counters of one engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Count] = Counter()

    def add(self, counts: Mapping[Count, int]) -> None:
        """Add to several counters at once, so that no reader sees one without the other."""
        with self._lock:
            self._counts.update(counts)

    def count(self, completions: Iterable[Completion], short_transfers: int = 0) -> None:
        """Add completions one by one, and the calls among them that moved less than asked."""
        counts: Counter[Count] = Counter({"short_transfers": short_transfers})
        for request, _, error in completions:
            if error is not None:
                counts["errors"] += 1
                counts["deadlines_missed"] += isinstance(error, DeadlineError)
            elif request.op == "read":
                counts["reads"] += 1
                counts["read_bytes"] += request.n_bytes
            elif request.op == "write":
                counts["writes"] += 1
                counts["written_bytes"] += request.n_bytes
            else:
                counts["syncs"] += 1
        self.add(counts)

    def stats(self, kind: str, direct: bool, fallback_reason: str, pinned: int = 0) -> EngineStats:
        """Return the counters, consistent with each other."""
        with self._lock:
            counts = self._counts.copy()
        return EngineStats(
            kind=kind,
            submitted=counts["reads"] + counts["writes"] + counts["syncs"] + counts["errors"],
            reads=counts["reads"],
            writes=counts["writes"],
            syncs=counts["syncs"],
            errors=counts["errors"],
            read_bytes=counts["read_bytes"],
            written_bytes=counts["written_bytes"],
            short_transfers=counts["short_transfers"],
            deadlines_missed=counts["deadlines_missed"],
            stale_completions=counts["stale_completions"],
            pinned_buffers=pinned,
            direct=direct,
            fallback_reason=fallback_reason,
        )
