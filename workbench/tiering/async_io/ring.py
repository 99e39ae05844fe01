"""Set up one io_uring, keep what the kernel may still touch, and give it back in the end.

Follows: io_uring_setup(2) by system call and mmap, so that nothing beside Python is needed.
Leaves out: the loops (kernels/ring.py) and whole batches, files and messages (io_uring.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import mmap
import os
import platform
import struct
from collections.abc import Callable, Iterator, Sequence
from time import monotonic_ns

import numpy as np
from numpy.typing import NDArray

from kernels import atomics, ring_job
from kernels import ring as loops
from workbench.tiering.async_io.buffers import address
from workbench.tiering.async_io.engine import OnWhole, StorageError
from workbench.tiering.async_io.teller import Teller

_SETUP, _REGISTER = 425, 427
_REGISTER_BUFFERS = 0
_COOP_TASKRUN = 1 << 8
# One mapping for both rings, no completion ever dropped, a time limit on waiting: Linux 5.11.
_NEEDED = {"SINGLE_MMAP": 1 << 0, "NODROP": 1 << 1, "EXT_ARG": 1 << 8}
_SQES_OFFSET = 0x10000000
_CLOCK_CALL = {"x86_64": 228, "aarch64": 113}
_WRITE_CALL = {"x86_64": 1, "aarch64": 64}
_PARAMS_BYTES = 120
_LOADING_NS = 60 * 10**9
_NO_JOBS = np.zeros((1, ring_job.JOB_COLUMNS), dtype=np.int64)

# Rings that were closed while the device still had requests of theirs: kept to the process's end.
_never_freed: list[Ring] = []


class RingRefusedError(StorageError):
    """The system offers no io_uring that can be used; the message says why."""


class Ring:
    """One ring, used by one thread at a time.

    Attributes
    ----------
    fixed_reason : str   why registered buffers were not had, or ""
    """

    def __init__(self, depth: int, fixed: Sequence[memoryview] = ()) -> None:
        """Set a ring up.

        Parameters
        ----------
        depth : int                        requests in flight at most
        fixed : sequence of memoryview     buffers to register: the kernel then maps their pages
                                           once, not with every request

        Raises
        ------
        RingRefusedError   if the system refuses, or lacks what is needed
        """
        reason = atomics.refused()
        if reason:
            raise RingRefusedError(reason)
        self._fd, answer = _set_up(2 * depth)
        self._mapped: list[tuple[int, int]] = []
        self._teller: Teller | None = None
        try:
            self._map(answer, depth)
        except BaseException:
            self.discard()
            raise
        self.fixed_reason = self._register(fixed) if fixed else ""
        self.has_fixed = bool(fixed) and not self.fixed_reason
        loops.start_counting(self.words, -1)
        # Slot -> its generation, and what must not be freed while that one is in flight.
        self._pinned: dict[int, tuple[int, object]] = {}

    def _map(self, answer: bytes, depth: int) -> None:
        n_submissions, n_completions = struct.unpack_from("<2I", answer)
        sq_head, sq_tail, sq_mask, _, _, _, sq_array = struct.unpack_from("<7I", answer, 40)
        cq_head, cq_tail, cq_mask, _, _, cqes = struct.unpack_from("<6I", answer, 80)
        n_bytes = max(sq_array + n_submissions * 4, cqes + n_completions * 16)
        base = self._map_shared(n_bytes, 0)
        entries = self._map_shared(n_submissions * 64, _SQES_OFFSET)
        # Submissions are taken in the order of their places.
        order = (ctypes.c_uint32 * n_submissions).from_address(base + sq_array)
        order[:] = range(n_submissions)
        masks = [ctypes.c_uint32.from_address(base + at).value for at in (sq_mask, cq_mask)]
        self._scratch = np.zeros(loops.SCRATCH_WORDS, dtype=np.int64)
        self.words = np.zeros(loops.RING_WORDS, dtype=np.int64)
        self.words[: loops.N_FREE] = [
            self._fd,
            base + sq_head,
            base + sq_tail,
            masks[0],
            entries,
            base + cq_head,
            base + cq_tail,
            masks[1],
            base + cqes,
            _CLOCK_CALL[platform.machine()],
            self._scratch.ctypes.data,
        ]
        self.words[loops.N_FREE] = depth
        self.words[loops.WRITE_CALL] = _WRITE_CALL[platform.machine()]
        self.slots = np.full((depth, loops.SLOT_COLUMNS), loops.FREE, dtype=np.int64)
        self.slots[:, loops.GENERATION] = 0
        self.free = np.arange(depth, dtype=np.int64)

    def _map_shared(self, n_bytes: int, offset: int) -> int:
        # Not mmap.mmap: it keeps a second descriptor for each mapping.
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        place = _libc().mmap(None, n_bytes, protection, flags, self._fd, offset)
        if place in (None, ctypes.c_void_p(-1).value):
            why = os.strerror(ctypes.get_errno())
            raise RingRefusedError(f"the ring could not be mapped: {why}")
        self._mapped.append((place, n_bytes))
        return int(place)

    def _register(self, buffers: Sequence[memoryview]) -> str:
        table = np.array([(address(one), one.nbytes) for one in buffers], dtype=np.uint64)
        result = atomics.system_call_twin(
            _REGISTER, self._fd, _REGISTER_BUFFERS, table.ctypes.data, len(buffers), 0, 0
        )
        if result >= 0:
            return ""
        hint = "; raise the limit on locked memory (ulimit -l)" if result == -errno.ENOMEM else ""
        return f"buffers could not be registered: {os.strerror(-result)}{hint}"

    @property
    def n_free(self) -> int:
        """Return how many slots serve nothing."""
        return int(self.words[loops.N_FREE])

    @property
    def n_pinned(self) -> int:
        """Return how many requests the device still has after their deadline."""
        return len(self._pinned)

    def begin(self, window: int = loops.MOST_SLOTS) -> None:
        """Start a new batch: no job submitted, none over, at most ``window`` under way at once."""
        self.words[[loops.NEXT, loops.DONE]] = 0
        self.words[loops.WINDOW] = window

    @contextlib.contextmanager
    def telling(self, on_whole: OnWhole) -> Iterator[None]:
        """Tell somebody, on a thread of its own, how many jobs of the next batch are whole.

        What that one raises is raised in the end.
        """
        if self._teller is None:
            self._teller = Teller(lambda: int(loops.published(self.words)))
        loops.start_counting(self.words, self._teller.event)
        try:
            with self._teller.telling(on_whole):
                yield
        finally:
            loops.start_counting(self.words, -1)

    def drive(
        self, jobs: NDArray[np.int64], n_jobs: int, n_over: int, step: int, deadline_ns: int
    ) -> int:
        """Carry on with a batch (`kernels.ring.drive`); signals are served in between."""
        answer = -errno.EINTR
        while answer == -errno.EINTR:
            answer = loops.drive(
                self.words, self.slots, self.free, jobs, n_jobs, n_over, step, deadline_ns
            )
        return int(answer)

    def give_up(self, jobs: NDArray[np.int64], hold: Callable[[int], object]) -> None:
        """Cancel what is in flight; keep what could not be cancelled from being freed.

        What the kernel had not taken yet is withdrawn: a file's number may mean another file later.

        Parameters
        ----------
        hold : callable   answers, for a job's row, something that keeps its memory in place
        """
        loops.withdraw(self.words, self.slots, self.free)
        loops.cancel(self.words, self.slots, self.free, jobs)
        loops.withdraw(self.words, self.slots, self.free)
        for slot in np.flatnonzero(self.slots[:, loops.JOB] >= 0):
            generation, row = (int(word) for word in self.slots[slot])
            self._pinned[int(slot)] = (generation, hold(row))
        loops.abandon(self.slots)

    def reap(self) -> int:
        """Take late answers without waiting, let go of their buffers, and return how many."""
        if not self._pinned:
            return 0
        loops.enter(self.words, 0, 0)
        loops.reap(self.words, self.slots, self.free, _NO_JOBS, monotonic_ns())
        return self.release()

    def release(self) -> int:
        """Let go of the buffers whose late answers have been taken, and return how many."""
        answered = [
            slot
            for slot, (generation, _) in self._pinned.items()
            if tuple(self.slots[slot]) != (generation, loops.ABANDONED)
        ]
        for slot in answered:
            del self._pinned[slot]
        return len(answered)

    def close(self, deadline_ns: int) -> int:
        """Cancel what is in flight, wait for it until the deadline, and give the ring back.

        If the device still has a request then, its buffer and the ring stay until the process ends.

        Returns
        -------
        requests that the device still has
        """
        if self._pinned:
            loops.cancel(self.words, self.slots, self.free, _NO_JOBS)
            self.release()
        while self._pinned and (left_ns := deadline_ns - monotonic_ns()) > 0:
            loops.enter(self.words, 1, left_ns)
            loops.reap(self.words, self.slots, self.free, _NO_JOBS, monotonic_ns())
            self.release()
        if self._pinned:
            _never_freed.append(self)
        else:
            self.discard()
        return len(self._pinned)

    def discard(self) -> None:
        """Unmap and close without a word to the kernel, as a child after a fork must."""
        if self._teller is not None:
            self._teller.close()
            self._teller = None
        for place, n_bytes in self._mapped:
            _libc().munmap(place, n_bytes)
        self._mapped.clear()
        os.close(self._fd)


@functools.cache
def load_loops() -> None:
    """Let Numba load (or compile, the first time ever) every loop, so that no request pays for it.

    Raises
    ------
    RingRefusedError   if the system refuses a ring

    Cost    about a second the first time in a process; some more when nothing is cached on disk.
    """
    ring, jobs = Ring(1), np.zeros((1, ring_job.JOB_COLUMNS), dtype=np.int64)
    ring.begin()
    ring.drive(jobs, ring_job.next_misfit(jobs, 0, 1), 1, 1, monotonic_ns() + _LOADING_NS)
    ring_job.count_whole(jobs, 0, 1)
    ring_job.add_up(jobs, np.zeros(5, dtype=np.int64))
    loops.published(ring.words)
    ring.give_up(jobs, lambda row: None)
    loops.enter(ring.words, 0, 0)
    loops.reap(ring.words, ring.slots, ring.free, jobs, 0)
    ring.close(0)


def _set_up(n_entries: int) -> tuple[int, bytes]:
    """Return a ring's descriptor, and the kernel's answer about it."""
    # Completions then wait for the submitting thread to enter the kernel, which it does anyway;
    # kernels before 5.19 do not know the flag.
    for flags in (_COOP_TASKRUN, 0):
        params = ctypes.create_string_buffer(_PARAMS_BYTES)
        struct.pack_into("<3I", params, 0, 0, 0, flags)
        fd = atomics.system_call_twin(_SETUP, n_entries, ctypes.addressof(params), 0, 0, 0, 0)
        if fd != -errno.EINVAL:
            break
    if fd < 0:
        raise RingRefusedError(f"io_uring was refused: {os.strerror(-fd)}{_hint(-fd)}")
    (features,) = struct.unpack_from("<I", params, 20)
    missing = [name for name, bit in _NEEDED.items() if not features & bit]
    if missing:
        os.close(fd)
        raise RingRefusedError(f"io_uring lacks {', '.join(missing)}; Linux 5.11 has all")
    return fd, params.raw


def _hint(number: int) -> str:
    if number == errno.ENOSYS:
        return " (the kernel has none, or a container's filter hides it)"
    if number == errno.EPERM:
        return " (see sysctl kernel.io_uring_disabled, or the container's filter)"
    return ""


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc
