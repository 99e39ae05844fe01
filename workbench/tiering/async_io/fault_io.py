"""Wrap an engine and a folder, and let their calls go wrong as a failing disk's do.

Follows: the list of faults in TigerBeetle's storage model (latent errors, misdirected and torn
I/O, gray failure) and SQLite's test file systems.
Leaves out: crashes (sim_disk.py), which this can be wrapped around.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.checks import failed, fell_short, too_late
from workbench.tiering.async_io.clock import Clock, RealClock
from workbench.tiering.async_io.crash_states import SECTOR_BYTES
from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    PAGE_BYTES,
    Completion,
    Engine,
    EngineStats,
    Folder,
    OnWhole,
    Request,
    ShortTransferError,
    StorageError,
)
from workbench.tiering.async_io.faults import AnyOp, Fault, Faults
from workbench.tiering.async_io.tally import Tally

_LATE = ("hang", "stale")


@dataclass(eq=False, slots=True)
class _Hung:
    """A request without an answer; its buffers stay referenced here."""

    request: Request
    stale: bool
    given_up: bool = False
    released: threading.Event = field(default_factory=threading.Event)


class FaultIO:
    """An engine whose requests go wrong where `Faults` says so; all others pass unchanged."""

    def __init__(self, engine: Engine, faults: Faults, clock: Clock | None = None) -> None:
        self._engine = engine
        self._faults = faults
        self._clock = clock or RealClock()
        self._names: dict[int, str] = {}
        self._hung: list[_Hung] = []
        self._lock = threading.Lock()
        self._tally = Tally()
        self._closed = False

    def open(self, path: Path, *, writable: bool = True) -> int:
        """Open an existing file and return its handle."""
        _fail_by_rule(self._faults, "open", path.name, str(path.name))
        file = self._engine.open(path, writable=writable)
        self._names[file] = path.name
        return file

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        """Move the blocks that nothing happens to as one batch, then damage the others.

        Late requests of earlier batches that are due (``stale``) are carried out first.
        """
        self._settle([hung for hung in self._snapshot() if hung.stale and hung.given_up])
        end_ns = self._clock.now_ns() + int(deadline_s * 1e9)
        decided = [self._faults.decide(one.op, self._name(one)) for one in batch]
        done: dict[int, Completion] = {}
        if any(fault is not None and fault.kind == "reorder" for fault in decided):
            order = self._faults.shuffled(len(batch))
        else:
            order = list(range(len(batch)))
        passing = [at for at in order if (fault := decided[at]) is None or fault.kind == "reorder"]
        # Of a batch that is changed nobody is told what is whole before the end.
        told = on_whole if passing == list(range(len(batch))) else None
        moved = self._engine.submit([batch[at] for at in passing], deadline_s, told)
        done.update(zip(passing, moved, strict=True))
        # The longest wait comes last, as it would on a device that works on all at once.
        rest = [
            (fault, at) for at in order if (fault := decided[at]) is not None and at not in done
        ]
        for fault, at in sorted(rest, key=lambda item: (item[0].kind in _LATE, item[0].seconds)):
            start_ns = self._clock.now_ns()
            error = self._damage(batch[at], fault, end_ns, deadline_s)
            done[at] = Completion(batch[at], self._clock.now_ns() - start_ns, error)
        completions = [done[at] for at in range(len(batch))]
        self._tally.count(completions)
        return completions

    def release(self) -> int:
        """Let the device answer everything that hangs, and return how many requests that were.

        Those whose deadline has passed are carried out now, late: their reads land in their
        buffers, their writes in the file.
        """
        waiting = self._snapshot()
        for hung in waiting:
            hung.released.set()
        self._settle([hung for hung in waiting if hung.given_up])
        return len(waiting)

    def forget(self, file: int) -> None:
        """Close one file; its handle is never given out again."""
        self._engine.forget(file)

    def stats(self) -> EngineStats:
        """Return the counters so far, of what the caller saw; injected faults are in `Faults`."""
        inner, own = self._engine.stats(), self._tally.stats("", True, "")
        return dataclasses.replace(
            own,
            kind=f"{inner.kind} with faults",
            short_transfers=inner.short_transfers,
            stale_completions=own.stale_completions + inner.stale_completions,
            pinned_buffers=inner.pinned_buffers + len(self._given_up()),
            direct=inner.direct,
            fallback_reason=inner.fallback_reason,
        )

    def close(self) -> None:
        """Close the engine; what hangs is not waited for."""
        self._closed = True
        self._engine.close()

    def _name(self, request: Request) -> str:
        return self._names.get(request.file, "unknown file")

    def _snapshot(self) -> list[_Hung]:
        with self._lock:
            return list(self._hung)

    def _given_up(self) -> list[_Hung]:
        return [hung for hung in self._snapshot() if hung.given_up]

    def _settle(self, late: list[_Hung]) -> None:
        """Carry out late requests; nobody hears of them any more."""
        for hung in late:
            with self._lock:
                if hung not in self._hung:
                    continue
                self._hung.remove(hung)
            self._tally.add({"stale_completions": 1})
            if not self._closed:
                self._engine.submit([hung.request])

    def _damage(
        self, request: Request, fault: Fault, end_ns: int, deadline_s: float
    ) -> StorageError | None:
        match fault.kind:
            case "error":
                return failed(request, self._name(request), fault.number)
            case "drop":
                return None
            case "delay":
                return self._delay(request, fault, end_ns, deadline_s)
            case "hang" | "stale":
                return self._hang(request, fault.kind == "stale", end_ns, deadline_s)
            case "misdirect":
                return self._misdirect(request, fault)
            case "flip":
                return self._flip(request, fault)
            case _:
                return self._in_part(request, fault)

    def _inner(self, request: Request) -> StorageError | None:
        (done,) = self._engine.submit([request])
        return done.error

    def _delay(
        self, request: Request, fault: Fault, end_ns: int, deadline_s: float
    ) -> StorageError | None:
        left_s = (end_ns - self._clock.now_ns()) / 1e9
        if fault.seconds > left_s:
            return self._hang(request, True, end_ns, deadline_s)
        self._clock.sleep(fault.seconds)
        return self._inner(request)

    def _hang(
        self, request: Request, stale: bool, end_ns: int, deadline_s: float
    ) -> StorageError | None:
        hung = _Hung(request, stale)
        with self._lock:
            self._hung.append(hung)
        left_s = max(0.0, (end_ns - self._clock.now_ns()) / 1e9)
        self._clock.wait(hung.released, left_s)
        with self._lock:
            if hung.released.is_set():
                self._hung.remove(hung)
            else:
                hung.given_up = True
        if hung.given_up:
            return too_late(request, self._name(request), deadline_s)
        return self._inner(request)

    def _misdirect(self, request: Request, fault: Fault) -> StorageError | None:
        shift = request.n_bytes if fault.shift_bytes is None else fault.shift_bytes
        error = self._inner(request._replace(offset=request.offset + shift))
        if isinstance(error, ShortTransferError) and request.offset >= shift:
            # There was nothing that far on; the other side will do.
            error = self._inner(request._replace(offset=request.offset - shift))
        return error

    def _flip(self, request: Request, fault: Fault) -> StorageError | None:
        bit = fault.bit if fault.bit >= 0 else self._faults.pick(request.n_bytes * 8)
        if request.op == "write":
            changed = _joined(request)
            changed[bit // 8] ^= 1 << bit % 8
            return self._inner(request._replace(buffer=changed, rest=()))
        error = self._inner(request)
        at = bit // 8
        for buffer in (request.buffer, *request.rest):
            if at < buffer.nbytes:
                buffer[at] ^= 1 << bit % 8
                break
            at -= buffer.nbytes
        return error

    def _in_part(self, request: Request, fault: Fault) -> StorageError | None:
        """Move only the first bytes of a request: then fail (short) or say that it went well."""
        keep = fault.keep_bytes
        if keep < 0:
            keep = self._faults.pick(request.n_bytes // SECTOR_BYTES) * SECTOR_BYTES
        keep = min(keep, request.n_bytes)
        # The engine below may demand whole pages, so the whole range goes through a copy of it.
        scratch = aligned_buffer(max(PAGE_BYTES, request.n_bytes))[: request.n_bytes]
        error = self._inner(Request("read", request.file, request.offset, scratch))
        if request.op == "write":
            scratch[:keep] = _joined(request)[:keep]
            error = self._inner(Request("write", request.file, request.offset, scratch))
        else:
            _scatter(request, scratch[:keep])
        if error is None and fault.kind == "short":
            return fell_short(request, self._name(request), keep)
        return error


class FaultFolder:
    """A folder whose steps go wrong where `Faults` says so (errors; a sync that is a lie)."""

    def __init__(self, folder: Folder, faults: Faults) -> None:
        self._folder = folder
        self._faults = faults

    def path(self, name: str) -> Path:
        """Return where a name lies, for `Engine.open`."""
        return self._folder.path(name)

    def create(self, name: str, n_bytes: int) -> None:
        """Make a file of ``n_bytes`` allocated zeros."""
        _fail_by_rule(self._faults, "create", name, f"{name}: cannot be created")
        self._folder.create(name, n_bytes)

    def names(self) -> list[str]:
        """Return the names of the regular files, sorted."""
        return self._folder.names()

    def size(self, name: str) -> int:
        """Return a file's length in bytes."""
        return self._folder.size(name)

    def replace(self, old: str, new: str) -> None:
        """Rename ``old`` over ``new`` atomically."""
        _fail_by_rule(self._faults, "replace", old, f"{old}: cannot be renamed to {new}")
        self._folder.replace(old, new)

    def remove(self, name: str) -> None:
        """Remove a file."""
        _fail_by_rule(self._faults, "remove", name, f"{name}: cannot be removed")
        self._folder.remove(name)

    def sync(self) -> None:
        """Make creations, replacements and removals durable, unless the sync is dropped."""
        fault = _fail_by_rule(self._faults, "sync_folder", "", "the folder cannot be flushed")
        if fault is None:
            self._folder.sync()


def _fail_by_rule(faults: Faults, op: AnyOp, name: str, said: str) -> Fault | None:
    fault = faults.decide(op, name)
    if fault is not None and fault.kind == "error":
        raise StorageError(f"{said}: {os.strerror(fault.number)}")
    return fault


def _joined(request: Request) -> memoryview:
    """Return a page-aligned copy of all that a request would write."""
    whole = aligned_buffer(max(PAGE_BYTES, request.n_bytes))[: request.n_bytes]
    offset = 0
    for buffer in (request.buffer, *request.rest):
        whole[offset : offset + buffer.nbytes] = buffer
        offset += buffer.nbytes
    return whole


def _scatter(request: Request, content: memoryview) -> None:
    """Put the first bytes of a request into its buffers."""
    for buffer in (request.buffer, *request.rest):
        piece = content[: buffer.nbytes]
        buffer[: piece.nbytes] = piece
        content = content[piece.nbytes :]
