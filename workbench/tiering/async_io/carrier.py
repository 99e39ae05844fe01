"""Carry batches out by an engine, and drop what was read ahead of the bytes that they change.

Follows: what was read ahead is dropped before a write begins and again once it is over, so that no
reader gets bytes from before it.
Leaves out: whose turn it is (scheduler.py), merging (merge.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.tiering.async_io.engine import Completion, Engine, Request
from workbench.tiering.async_io.merge import Merger, Moved
from workbench.tiering.async_io.read_ahead import ReadAhead


class Carrier:
    """An engine, what merges for it, and what was read ahead of it, if anything is."""

    def __init__(self, engine: Engine, merger: Merger, read_ahead: ReadAhead | None) -> None:
        self._engine = engine
        self._merger = merger
        self._read_ahead = read_ahead

    def carry(self, batch: Sequence[Request], deadline_s: float, depth: int) -> Moved:
        """Carry requests out, merged into no fewer than ``depth``.

        Raises
        ------
        StorageError   only if the engine is closed, or was opened before a fork
        """
        writes = [request for request in batch if request.op == "write"] if self._read_ahead else []
        if not writes or self._read_ahead is None:
            return self._merger.carry_out(self._engine.submit, batch, deadline_s, depth)
        self._read_ahead.overwritten(writes)
        completions: list[Completion] = []
        try:
            moved = self._merger.carry_out(self._engine.submit, batch, deadline_s, depth)
            completions = moved.completions
            return moved
        finally:
            self._read_ahead.overwritten(writes, completions)

    def overwrite(self, batch: Sequence[Request]) -> None:
        """Drop what was read ahead of bytes that a queued batch is going to change."""
        if self._read_ahead is not None:
            self._read_ahead.overwritten([one for one in batch if one.op == "write"])
