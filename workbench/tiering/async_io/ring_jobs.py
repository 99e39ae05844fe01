"""Turn requests into the rows that a ring's loops work on, and rows into completions.

Follows: one lean pass a request, everything else on whole columns: at 4 KiB a request costs the
device 10 us, so each microsecond here is a tenth of the rate.
Leaves out: moving anything (ring.py).
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Mapping, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from kernels import ring_job
from workbench.tiering.async_io.buffers import address
from workbench.tiering.async_io.checks import (
    failed,
    fell_short,
    refusal,
    too_late,
    unknown_file,
)
from workbench.tiering.async_io.engine import PAGE_BYTES, Completion, Request, StorageError
from workbench.tiering.async_io.files import OpenFile
from workbench.tiering.async_io.tally import Count

_OPERATIONS = {"read": ring_job.READ, "write": ring_job.WRITE, "sync": ring_job.FSYNC}
_TOTALS: tuple[Count, ...] = ("reads", "read_bytes", "writes", "written_bytes", "syncs")
# An address and a length.
_IOVEC_BYTES = 16
# By so many requests a batch's mean size is told.
_SAMPLE = 8
# From READ to READ_FIXED, and from WRITE to WRITE_FIXED.
_TO_FIXED = ring_job.READ_FIXED - ring_job.READ
# From READ to READV, and from WRITE to WRITEV.
_TO_VECTORED = ring_job.READV - ring_job.READ

_first_byte, _addressof = ctypes.c_char.from_buffer, ctypes.addressof


class RegisteredBuffers:
    """Where the buffers lie that a ring has registered, to find those of requests again."""

    def __init__(self, buffers: Sequence[memoryview]) -> None:
        self.buffers = list(buffers)
        places = sorted((address(one), one.nbytes, i) for i, one in enumerate(buffers))
        self._starts = np.array([start for start, _, _ in places], dtype=np.int64)
        self._ends = np.array([start + length for start, length, _ in places], dtype=np.int64)
        self._numbers = np.array([number for _, _, number in places], dtype=np.int64)

    def mark(self, rows: NDArray[np.int64]) -> None:
        """Let those rows whose buffer lies within a registered one use it."""
        begin = rows[:, ring_job.ADDRESS]
        place = np.searchsorted(self._starts, begin, side="right") - 1
        operation = rows[:, ring_job.WORD] & 0xFF
        inside = (
            (place >= 0)
            & (begin + rows[:, ring_job.N_BYTES] <= self._ends[place])
            & ((operation == ring_job.READ) | (operation == ring_job.WRITE))
            & (rows[:, ring_job.WORD] != ring_job.SKIP)
        )
        rows[inside, ring_job.WORD] += _TO_FIXED
        rows[inside, ring_job.BUFFER] = self._numbers[place[inside]]


class _Vectors:
    """The requests with several buffers among some rows."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        # Of each: how many buffers it has, and how many those before it have.
        self._counts: list[int] = []
        self._starts: list[int] = []
        self._iovecs: list[int] = []

    def add(self, row: int, buffers: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Note a request's buffers: the address of each, and its bytes.

        Returns
        -------
        every bit of theirs that may be off the grid, and all bytes
        """
        self.rows.append(row)
        self._starts.append(len(self._iovecs) // 2)
        self._counts.append(len(buffers))
        bits = total = 0
        for place, n_bytes in buffers:
            self._iovecs += (place, n_bytes)
            bits |= place | n_bytes
            total += n_bytes
        return bits, total

    def enter(self, table: NDArray[np.int64]) -> NDArray[np.int64]:
        """Let the rows name their iovecs; return these, which have to stay where they are."""
        iovecs = np.array(self._iovecs, np.int64).reshape(-1, 2)
        place = iovecs.ctypes.data
        # Not by a list of rows at once: NumPy lets go of the GIL there, and whoever takes it keeps
        # the device waiting.
        for row, start, count in zip(self.rows, self._starts, self._counts, strict=True):
            table[row, ring_job.ADDRESS] = place + start * _IOVEC_BYTES
            table[row, ring_job.BUFFER] = count
        return iovecs


class RingJobs:
    """One batch as rows.

    Attributes
    ----------
    table : int64[n, 8]    see kernels/ring_job.py; rows from `n_ready` on are not filled yet
    """

    def __init__(
        self,
        batch: Sequence[Request],
        files: Mapping[int, OpenFile],
        registered: RegisteredBuffers | None,
    ) -> None:
        self._batch = batch
        self._files = files
        self._registered = registered
        self._codes = {
            op: {
                handle: (code | file.fd << 32, PAGE_BYTES - 1 if file.direct else 0)
                for handle, file in files.items()
            }
            for op, code in _OPERATIONS.items()
        }
        self._refused: dict[int, StorageError] = {}
        self.table = np.zeros((len(batch), ring_job.JOB_COLUMNS), dtype=np.int64)
        self.n_ready = 0
        self._completions: list[Completion] = []
        # Of requests with several buffers: iovecs that the kernel reads, and may still read later.
        self._tables: list[NDArray[np.int64]] = []

    def window(self, n_bytes: int, most: int) -> int:
        """Return how many requests move so many bytes, 2 to ``most``, by the first ones' size."""
        sample = self._batch[:_SAMPLE]
        total = sum([one.n_bytes for one in sample])
        return max(min(2, most), min(most, n_bytes * len(sample) // max(1, total)))

    def convert(self, stop: int) -> None:
        """Fill the rows from `n_ready` up to ``stop``."""
        first, codes = self.n_ready, self._codes
        if stop <= first:
            return
        flat: list[int] = []
        vectors = _Vectors()
        for row, request in enumerate(self._batch[first:stop], first):
            try:
                word, mask = codes[request.op][request.file]
                buffer = request.buffer
                # Nothing is kept of this: an object a request makes the garbage collector look
                # through the whole heap, which cost as much as all the rest.
                place, n_bytes = _addressof(_first_byte(buffer)), buffer.nbytes
                if request.rest:
                    rest = [(_addressof(_first_byte(one)), one.nbytes) for one in request.rest]
                    place, n_bytes = vectors.add(row, [(place, n_bytes), *rest])
                    word += _TO_VECTORED
                flat += (word, request.offset, place, n_bytes, mask)
            except (KeyError, TypeError, ValueError):
                # No such file or operation, read-only or empty: the slow way.
                flat += self._convert_odd(row, request, vectors)
        rows = np.array(flat, np.int64).reshape(-1, ring_job.MOVED)
        self.table[first:stop, : ring_job.MOVED] = rows
        self._refuse_misfits(first, stop)
        if vectors.rows:
            self._tables.append(vectors.enter(self.table))
        if self._registered is not None:
            self._registered.mark(self.table[first:stop])
        self.n_ready = stop

    def _convert_odd(
        self, row: int, request: Request, vectors: _Vectors
    ) -> tuple[int, int, int, int, int]:
        file = self._files.get(request.file)
        refused = None if file is None else refusal(request, file.name, file.direct)
        if file is None or refused is not None:
            self._refused[row] = refused or unknown_file(request)
            return ring_job.SKIP, 0, 0, 0, 0
        word, _ = self._codes[request.op][request.file]
        if request.op == "sync":
            return word, 0, 0, 0, 0
        place, n_bytes = address(request.buffer), request.buffer.nbytes
        if request.rest:
            pieces = [(address(one), one.nbytes) for one in (request.buffer, *request.rest)]
            place, n_bytes = vectors.add(row, pieces)
            word += _TO_VECTORED
        return word, request.offset, place, n_bytes, 0

    def _refuse_misfits(self, first: int, stop: int) -> None:
        row = ring_job.next_misfit(self.table, first, stop)
        while row < stop:
            self._refuse(row)
            row = ring_job.next_misfit(self.table, row + 1, stop)

    def _refuse(self, row: int) -> None:
        request = self._batch[row]
        file = self._files[request.file]
        error = refusal(request, file.name, file.direct)
        if error is not None:
            self._refused[row] = error
            self.table[row, ring_job.WORD] = ring_job.SKIP

    def hold(self, row: int) -> object:
        """Return something that keeps a row's memory from being freed or resized."""
        request = self._batch[row]
        buffers = (request.buffer, *request.rest)
        views = [np.frombuffer(one, dtype=np.uint8) for one in buffers if one.nbytes]
        return request, views, self._tables

    def collect(self, stop: int) -> int:
        """Make completions of the rows up to ``stop``, as far as all of them are over and whole.

        Returns
        -------
        rows that have a completion now
        """
        first = len(self._completions)
        last = first + int(ring_job.count_whole(self.table, first, stop))
        rows = self.table[first:last]
        took = (rows[:, ring_job.ENDED_NS] - rows[:, ring_job.STARTED_NS]).tolist()
        done = zip(self._batch[first:last], took, repeat(None), strict=False)
        # What `Completion(...)` does, at half the price.
        self._completions.extend(map(tuple.__new__, repeat(Completion), done))
        return last

    def conclude(self, deadline_s: float, now_ns: int, answer: int) -> list[Completion]:
        """Return one completion a request.

        Parameters
        ----------
        now_ns : int   the monotonic clock's, for requests that are not over
        answer : int   of `kernels.ring.drive`: what those failed of
        """
        self.collect(len(self.table))
        completions = self._completions
        for row in range(len(completions), len(self.table)):
            started, ended = self.table[row, ring_job.STARTED_NS : ring_job.ENDED_NS + 1].tolist()
            request = self._batch[row]
            whole = ring_job.count_whole(self.table, row, row + 1) == 1
            error = None if whole else self._error(row, request, deadline_s, answer)
            took_ns = (ended or now_ns) - started if started else 0
            completions.append(Completion(request, took_ns, error))
        return completions

    def refused_direct(self) -> list[int]:
        """Return the rows that a file opened for direct I/O answered with "invalid"."""
        rows: list[int] = np.flatnonzero(self.table[:, ring_job.MOVED] == -errno.EINVAL).tolist()
        return [row for row in rows if self._files[self._batch[row].file].direct]

    def counts(self) -> dict[Count, int]:
        """Return what the rows add to the engine's counters."""
        totals = np.empty(len(_TOTALS), dtype=np.int64)
        ring_job.add_up(self.table, totals)
        counts: dict[Count, int] = dict(zip(_TOTALS, totals.tolist(), strict=True))
        counts["errors"] = len(self.table) - counts["reads"] - counts["writes"] - counts["syncs"]
        return counts

    def _error(self, row: int, request: Request, deadline_s: float, answer: int) -> StorageError:
        if row in self._refused:
            return self._refused[row]
        file = self._files.get(request.file)
        if file is None:
            return unknown_file(request)
        moved = int(self.table[row, ring_job.MOVED])
        ended = int(self.table[row, ring_job.ENDED_NS])
        if ended == 0 and answer not in (0, -errno.ETIME):
            return failed(request, file.name, -answer)
        if ended == 0 or moved == -errno.ECANCELED:
            begun = bool(self.table[row, ring_job.STARTED_NS])
            return too_late(request, file.name, deadline_s, tried=begun)
        if moved >= 0:
            return fell_short(request, file.name, moved)
        return failed(request, file.name, -moved)
