"""A disk in memory that remembers every step and shows what a crash may have left of them.

Follows: engine.Engine and engine.Folder; SQLite's crash tests, whose file system queues writes and
on a crash drops or damages the unsynced ones.
Leaves out: faults of a living disk (fault_io.py wraps any engine, this one too).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from workbench.tiering.async_io.checks import (
    fell_short,
    refusal,
    too_late,
    unknown_file,
)
from workbench.tiering.async_io.clock import Clock, RealClock
from workbench.tiering.async_io.crash_states import (
    Created,
    Event,
    Origin,
    Removed,
    Replaced,
    Rotted,
    State,
    Synced,
    SyncedFolder,
    Wrote,
    all_states,
    put,
    sampled_states,
)
from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    EngineStats,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.async_io.tally import Tally

_FOLDER = Path("sim")


class SimDisk:
    """An engine and a folder over files in memory; safe to use from several threads.

    A batch is carried out at once, in its order. Reads see every completed write, as they do in a
    living system; `crash_images` shows what of it was only in a cache.
    """

    kind = "sim_disk"

    def __init__(
        self,
        *,
        direct: bool = True,
        capacity_bytes: int | None = None,
        clock: Clock | None = None,
        state: State | None = None,
    ) -> None:
        """Make a disk.

        Parameters
        ----------
        direct : bool                   demand offsets, lengths and buffers on the 4 KiB grid
        capacity_bytes : int or None    sum of all lengths that `create` may reach; None: no limit
        clock : Clock or None           for deadlines and latencies; the machine's own by default
        state : State or None           what is on it, durable; empty by default
        """
        self._start = state or State({}, {}, Origin(0))
        self._direct = direct
        self._capacity_bytes = capacity_bytes
        self._clock = clock or RealClock()
        self._lock = threading.RLock()
        self._log: list[Event] = []
        self._names = dict(self._start.names)
        self._contents = {inode: bytearray(content) for inode, content in self._unique().items()}
        self._inodes = itertools.count(max(self._contents, default=0) + 1)
        self._handles = itertools.count(1)
        self._open: dict[int, tuple[str, int, bool]] = {}
        self._tally = Tally()
        self._closed = False

    def _unique(self) -> dict[int, bytes]:
        return self._start.contents

    # The engine

    def open(self, path: Path, *, writable: bool = True) -> int:
        """Open an existing file by its name and return its handle."""
        with self._lock:
            self._refuse_closed()
            handle = next(self._handles)
            self._open[handle] = (path.name, self._inode(path.name, "opened"), writable)
            return handle

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        """Carry out every request and log the writes and syncs among them."""
        end_ns = self._clock.now_ns() + int(deadline_s * 1e9)
        with self._lock:
            self._refuse_closed()
            covers = len(self._log)
        completions: list[Completion] = []
        all_whole = True
        for request in batch:
            with self._lock:
                completions.append(self._complete(request, covers, end_ns, deadline_s))
            all_whole = all_whole and completions[-1].error is None
            if all_whole and on_whole is not None:
                on_whole(len(completions))
        self._tally.count(completions)
        return completions

    def forget(self, file: int) -> None:
        """Close one file; its handle is never given out again."""
        with self._lock:
            if self._open.pop(file, None) is None:
                raise StorageError(f"file {file} is not open; it cannot be closed")

    def stats(self) -> EngineStats:
        """Return the counters so far."""
        return self._tally.stats(self.kind, self._direct, "")

    def close(self) -> None:
        """Refuse all further requests; what is on the disk stays, see `reopened`."""
        with self._lock:
            self._closed = True
            self._open.clear()

    # The folder

    def path(self, name: str) -> Path:
        """Return where a name lies, for `open`."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise StorageError(f"{name!r} is no plain file name; leave folders out of it")
        return _FOLDER / name

    def create(self, name: str, n_bytes: int) -> None:
        """Make a file of zeros; its length is durable as soon as its name is."""
        self.path(name)
        with self._lock:
            if name in self._names:
                raise StorageError(f"{_FOLDER / name}: cannot be created: File exists")
            used = sum(len(self._contents[inode]) for inode in set(self._names.values()))
            if self._capacity_bytes is not None and used + n_bytes > self._capacity_bytes:
                raise StorageError(f"{_FOLDER / name}: cannot be created: No space left on device")
            inode = next(self._inodes)
            self._names[name] = inode
            self._contents[inode] = bytearray(n_bytes)
            self._log.append(Created(name, inode, n_bytes))

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        with self._lock:
            return sorted(self._names)

    def size(self, name: str) -> int:
        """Return a file's length in bytes."""
        with self._lock:
            return len(self._contents[self._inode(name, "looked at")])

    def replace(self, old: str, new: str) -> None:
        """Rename ``old`` over ``new`` atomically."""
        self.path(new)
        with self._lock:
            inode = self._inode(old, f"renamed to {new}")
            del self._names[old]
            self._names[new] = inode
            self._log.append(Replaced(old, new, inode))

    def remove(self, name: str) -> None:
        """Remove a file; those who have it open keep it."""
        with self._lock:
            self._inode(name, "removed")
            del self._names[name]
            self._log.append(Removed(name))

    def sync(self) -> None:
        """Make creations, replacements and removals durable."""
        with self._lock:
            self._log.append(SyncedFolder())

    # What a test may do to it

    @property
    def position(self) -> int:
        """Return how many steps were logged; what was acknowledged at a position is known by it."""
        return len(self._log)

    @property
    def origin(self) -> Origin:
        """Return which crash this disk is an image of; position 0 for a disk that never crashed."""
        return self._start.origin

    def content(self, name: str) -> bytes:
        """Return a copy of a file's bytes."""
        with self._lock:
            return bytes(self._contents[self._inode(name, "read")])

    def rot(self, name: str, offset: int, content: bytes) -> None:
        """Change bytes behind everybody's back, durably, as a failing disk does."""
        with self._lock:
            inode = self._inode(name, "changed")
            put(self._contents[inode], offset, content)
            self._log.append(Rotted(inode, offset, bytes(content)))

    def truncate(self, name: str, n_bytes: int) -> None:
        """Cut a file behind everybody's back, durably."""
        with self._lock:
            inode = self._inode(name, "cut")
            del self._contents[inode][n_bytes:]
            self._log.append(Rotted(inode, 0, b"", cut=n_bytes))

    def reopened(self) -> SimDisk:
        """Return a fresh disk with everything that was written, as after a killed process."""
        with self._lock:
            reachable = set(self._names.values())
            contents = {inode: bytes(self._contents[inode]) for inode in reachable}
            return self._fresh(State(dict(self._names), contents, self._start.origin))

    def crash_images(self, rng: np.random.Generator, n: int, since: int = 0) -> Iterator[SimDisk]:
        """Yield ``n`` disks as a power loss may have left this one, each `origin` telling how.

        The crash comes at a random position from ``since`` on; unsynced writes are there, torn at
        512 bytes or missing, unsynced changes of names there or missing. The log may grow meanwhile
        (images of what was logged at the start); images may crash again.
        """
        for state in sampled_states(self._start, self._frozen_log(), rng, n, since):
            yield self._fresh(state)

    def all_crash_images(
        self, rng: np.random.Generator, limit: int = 10, samples: int = 1000
    ) -> Iterator[SimDisk]:
        """Yield every legal disk for each end of a sync epoch (see `crash_states.all_states`).

        Epochs of more than ``limit`` unsynced changes are sampled ``samples`` times instead.
        """
        for state in all_states(self._start, self._frozen_log(), rng, limit, samples):
            yield self._fresh(state)

    def _frozen_log(self) -> tuple[Event, ...]:
        with self._lock:
            return tuple(self._log)

    def _fresh(self, state: State) -> SimDisk:
        return SimDisk(
            direct=self._direct,
            capacity_bytes=self._capacity_bytes,
            clock=self._clock,
            state=state,
        )

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageError("the engine is closed; open another one")

    def _inode(self, name: str, done: str) -> int:
        if name not in self._names:
            raise StorageError(f"{_FOLDER / name}: cannot be {done}: No such file or directory")
        return self._names[name]

    def _complete(
        self, request: Request, covers: int, end_ns: int, deadline_s: float
    ) -> Completion:
        start_ns = self._clock.now_ns()
        name, inode, writable = self._open.get(request.file, ("unknown file", -1, False))
        shown = str(_FOLDER / name)
        error: StorageError | None
        if inode < 0:
            error = unknown_file(request)
        elif start_ns >= end_ns:
            error = too_late(request, shown, deadline_s, tried=False)
        elif request.op == "write" and not writable:
            error = StorageError(f"{shown}: was opened for reading only; open it writable")
        else:
            error = refusal(request, shown, self._direct)
            error = error or self._carry_out(request, inode, shown, covers)
        return Completion(request, self._clock.now_ns() - start_ns, error)

    def _carry_out(
        self, request: Request, inode: int, shown: str, covers: int
    ) -> StorageError | None:
        if request.op == "sync":
            self._log.append(Synced(inode, covers))
        elif request.op == "write":
            piece = b"".join((request.buffer, *request.rest))
            put(self._contents[inode], request.offset, piece)
            self._log.append(Wrote(inode, request.offset, piece))
        else:
            return self._read(request, inode, shown)
        return None

    def _read(self, request: Request, inode: int, shown: str) -> StorageError | None:
        content = memoryview(self._contents[inode])
        offset = request.offset
        try:
            for buffer in (request.buffer, *request.rest):
                piece = content[offset : offset + buffer.nbytes]
                buffer[: len(piece)] = piece
                offset += len(piece)
                if len(piece) < buffer.nbytes:
                    return fell_short(request, shown, offset - request.offset)
        finally:
            content.release()
        return None
