"""Read cold blocks' frames into memory of their own, ahead of the attention that consumes them.

Follows: double buffering; a frame stays until its row is needed, so that its other layers, and the
sequence's next step, find it there.
Leaves out: promotion; what is read here stays cold. Which frames are read as they are stored, and
which are decoded (stagings.py).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from workbench.errors import UsageError
from workbench.tiering.closing import Closing
from workbench.tiering.memory import MIB, allocate
from workbench.tiering.tiered_kv_cache.cold_tier import FrameAt
from workbench.tiering.tiered_kv_cache.errors import CacheFullError
from workbench.tiering.tiered_kv_cache.slot_pool import SlotPool, Slots

MIN_ROWS = 2
# As many frames as the device is asked for at once.
_MAX_BATCH = 32
# Rows are freed by whoever attends beside; nobody attends one batch for so long.
_ROW_WAIT_S = 30.0

Name = tuple[bytes, int]
# Reads frames into their views, and says which are there now.
Read = Callable[[Sequence[FrameAt]], Sequence[bool]]


@dataclass(slots=True)
class _Staged:
    """A row in use: for which frame, by how many, and the reading of it."""

    row: int
    n_users: int
    reading: Future[frozenset[Name]]

    @property
    def is_idle(self) -> bool:
        """Return whether nobody uses the row, the reader included."""
        return not self.n_users and self.reading.done()


class Batch:
    """Frames of consecutive blocks that are staged, or being read."""

    def __init__(self, names: Sequence[Name], staged: Sequence[_Staged]) -> None:
        self.names = names
        self.staged = staged

    def wait(self) -> Slots:
        """Return the rows, once the frames are in them.

        Raises
        ------
        LookupError   with the number of the first block of the batch that cannot be had
        """
        for number, (name, one) in enumerate(zip(self.names, self.staged, strict=True)):
            if name in one.reading.result():
                raise LookupError(number)
        return np.array([one.row for one in self.staged], np.int64)


class Staging(Closing):
    """Rows of one frame each, ``limit_bytes`` in all. Safe between threads."""

    def __init__(self, row_bytes: int, read: Read, limit_bytes: int) -> None:
        """Take the memory.

        Parameters
        ----------
        row_bytes : int   of the largest frame, whole pages

        Raises
        ------
        UsageError   if fewer than two frames fit
        """
        n_rows = limit_bytes // row_bytes
        if n_rows < MIN_ROWS:
            raise UsageError(
                f"staging_bytes={limit_bytes:,} holds {n_rows} frames of {row_bytes:,} "
                f"bytes, {MIN_ROWS} are needed; raise it or lower frame_layers"
            )
        self.memory = allocate(n_rows * row_bytes).reshape(n_rows, row_bytes)
        self.batch_blocks = max(1, min(_MAX_BATCH, n_rows // 4))
        self._read_frames = read
        self._rows = SlotPool(n_rows)
        self._staged: OrderedDict[Name, _Staged] = OrderedDict()
        self._changed = threading.Condition()
        self._reader = ThreadPoolExecutor(1, "kv-cold-reader")
        self.frames_read = 0
        self.frames_reused = 0
        self.waited_s = 0.0

    def lease(self, names: Sequence[Name], *, wait: bool) -> Batch | None:
        """Stage frames, read what is not there; None (only without wait): no rows are free.

        Raises
        ------
        CacheFullError   if others use all rows, for half a minute
        """
        with self._changed:
            if wait and not self._changed.wait_for(lambda: self._has_room(names), _ROW_WAIT_S):
                raise CacheFullError(
                    f"all of the {self.memory.nbytes / MIB:,.0f} MiB that cold blocks are attended "
                    "through are in use; raise staging_bytes, or attend fewer sequences at once"
                )
            if not self._has_room(names):
                return None
            known = [self._staged[name] for name in names if name in self._staged]
            for one in known:
                one.n_users += 1
            reading: Future[frozenset[Name]] = Future()
            missing = {
                name: _Staged(self._take_row(), 1, reading)
                for name in names
                if name not in self._staged
            }
            self._staged.update(missing)
            for name in names:
                self._staged.move_to_end(name)
            self.frames_read += len(missing)
            self.frames_reused += len(known)
            batch = Batch(names, [self._staged[name] for name in names])
        if missing:
            self._reader.submit(self._read, missing, reading)
        return batch

    def release(self, batch: Batch) -> None:
        """Take a lease back; the frames stay until their rows are needed."""
        with self._changed:
            for name, one in zip(batch.names, batch.staged, strict=True):
                one.n_users -= 1
                self._drop_if_failed(name, one)
            self._changed.notify_all()

    def rows_of(self, batch: Batch) -> Slots:
        """Return a batch's rows as `Batch.wait` does; how long that took is counted."""
        start = time.perf_counter()
        try:
            return batch.wait()
        finally:
            with self._changed:
                self.waited_s += time.perf_counter() - start

    def read_ahead(self, names: Sequence[Name]) -> None:
        """Stage frames that will be wanted soon, if rows are free."""
        batch = self.lease(names, wait=False)
        if batch is not None:
            self.release(batch)

    def close(self) -> None:
        """Stop once all that was asked for has been read."""
        self._reader.shutdown()

    def _has_room(self, names: Sequence[Name]) -> bool:
        wanted = set(names)
        missing = len(wanted - self._staged.keys())
        idle = sum(one.is_idle for name, one in self._staged.items() if name not in wanted)
        return len(self._rows) + idle >= missing

    def _take_row(self) -> int:
        row = self._rows.take()
        if row is not None:
            return row
        name = next(name for name, one in self._staged.items() if one.is_idle)
        return self._staged.pop(name).row

    def _drop_if_failed(self, name: Name, one: _Staged) -> None:
        if one.is_idle and name in one.reading.result() and self._staged.get(name) is one:
            del self._staged[name]
            self._rows.let_go(one.row)

    def _read(self, missing: dict[Name, _Staged], reading: Future[frozenset[Name]]) -> None:
        wanted = [FrameAt(*name, self.memory[one.row]) for name, one in missing.items()]
        here = self._read_frames(wanted)
        failed = [one for one, is_here in zip(wanted, here, strict=True) if not is_here]
        with self._changed:
            for frame in failed:
                # A late read may still write there.
                self._rows.hold_while_alive(missing[frame[:2]].row, frame.view)
            reading.set_result(frozenset(frame[:2] for frame in failed))
            for name, one in missing.items():
                self._drop_if_failed(name, one)
            self._changed.notify_all()
