"""Move many blocks at once through io_uring: the engine that comes near the device.

Follows: io_uring(7); requests are converted while earlier ones are under way, the loops run in
Numba without the GIL (kernels/ring.py).
Leaves out: order, merging and priority (scheduler.py).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from time import monotonic_ns

from kernels import ring as loops
from kernels.ring import MOST_SLOTS
from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    DeadlineError,
    EngineStats,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.async_io.files import OpenFile
from workbench.tiering.async_io.real_files import RealFiles
from workbench.tiering.async_io.ring import Ring, load_loops
from workbench.tiering.async_io.ring_jobs import RegisteredBuffers, RingJobs
from workbench.tiering.async_io.ring_pool import RingPool

# Rings, and so batches under way at once; further threads wait for one of them.
MOST_RINGS = 4
# The queue is filled and emptied an eighth at a time: waking up for every single completion costs
# as much as the device does, waiting for many lets the queue run dry.
_STEPS_A_DEPTH = 8
# Bytes under way of a batch that is looked at while it arrives: a device that is given more works
# on all at once, so that nothing is whole until nearly all is, and no longer in the cache then.
_STREAM_BYTES = 8 << 20
# Requests are converted this many queue depths at a time: fewer pay for NumPy's calls, more let the
# queue run dry meanwhile.
_DEPTHS_A_STEP = 2


class UringEngine(RealFiles):
    """Keeps up to ``depth`` requests of each batch in flight; safe to call from several threads.

    A child after a fork is refused: the parent's rings are not its own.
    """

    kind = "io_uring"

    def __init__(
        self,
        *,
        depth: int = 32,
        direct: bool = True,
        write_through: bool = False,
        fixed: Sequence[memoryview] = (),
        rings: int = MOST_RINGS,
    ) -> None:
        """Set the first ring up.

        Parameters
        ----------
        depth : int                      requests of one batch in flight at most
        direct : bool                    bypass the page cache; a file whose file system refuses is
                                         buffered
        write_through : bool             every write reaches the device before it completes
        fixed : sequence of memoryview   buffers to register; requests whose buffer lies within one
                                         spare the kernel the mapping of its pages
        rings : int                      batches under way at once at most

        Raises
        ------
        RingRefusedError   if the system has no io_uring that can be used
        StorageError       if ``depth`` or ``rings`` is out of range

        Cost    about a second for the first engine of a process, which loads the ring's loops.
        """
        if not 1 <= depth <= 4096 or rings < 1:
            raise StorageError(f"depth={depth} must be 1 to 4096, rings={rings} at least 1")
        super().__init__(direct=direct, write_through=write_through)
        load_loops()
        self._depth = depth
        self._step = max(1, depth // _STEPS_A_DEPTH)
        self._rings = RingPool(depth, rings, fixed)
        self._reason = self._rings.fixed_reason
        self._registered = RegisteredBuffers(fixed) if fixed and not self._reason else None

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        """Move every block and return one completion a request; see `engine.Engine.submit`.

        Raises
        ------
        StorageError   only if the engine is closed or was opened before a fork

        Cost    about 20 us a batch and 2 us a request, most of it while the device works.
        """
        self._refuse_fork()
        end_ns = monotonic_ns() + int(deadline_s * 1e9)
        files = self._files.borrow({request.file for request in batch})
        try:
            return self._submit(batch, files, deadline_s, end_ns, on_whole)
        finally:
            self._files.give_back(files.values())

    def stats(self) -> EngineStats:
        """Return the counters so far; late answers that are there are taken first."""
        if os.getpid() == self._pid:
            self._tally.add({"stale_completions": self._rings.reap()})
        return super().stats()

    def close(self) -> None:
        """Close every file and ring, waiting at most the default deadline for the device.

        Requests that it still has then keep their buffers until the process ends.
        """
        self._files.close()
        if os.getpid() == self._pid:
            self._rings.close(monotonic_ns() + int(DEFAULT_DEADLINE_S * 1e9))
        else:
            self._rings.discard()

    def _pinned(self) -> int:
        return self._rings.n_pinned

    def _submit(
        self,
        batch: Sequence[Request],
        files: Mapping[int, OpenFile],
        deadline_s: float,
        end_ns: int,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        jobs = RingJobs(batch, files, self._registered)
        ring = self._rings.check_out(end_ns) if batch and deadline_s > 0 else None
        if ring is None:
            jobs.convert(len(batch))
            answer = -errno.ETIME
        else:
            answer = self._run(ring, jobs, end_ns, on_whole)
        counts = jobs.counts()
        completions = jobs.conclude(deadline_s, monotonic_ns(), answer)
        if counts["errors"]:
            counts["deadlines_missed"] = sum(
                isinstance(done.error, DeadlineError) for done in completions
            )
            again = jobs.refused_direct()
            counts["errors"] -= len(again)
            self._redo_buffered(again, completions, files, deadline_s, end_ns)
        self._tally.add(counts)
        return completions

    def _redo_buffered(
        self,
        rows: Sequence[int],
        completions: list[Completion],
        files: Mapping[int, OpenFile],
        deadline_s: float,
        end_ns: int,
    ) -> None:
        """Repeat requests that were on the grid and still "invalid": direct I/O is not had here."""
        if not rows:
            return
        batch = [completions[row].request for row in rows]
        for request in batch:
            self._files.fall_back(files[request.file], request.op)
        redone = self._submit(batch, files, deadline_s, end_ns)
        for row, completion in zip(rows, redone, strict=True):
            completions[row] = completion

    def _run(self, ring: Ring, jobs: RingJobs, end_ns: int, on_whole: OnWhole | None) -> int:
        """Move a batch through a ring; return what the loops answered."""
        usable = False
        short_before = int(ring.words[loops.SHORT])
        try:
            answer = (
                self._drive(ring, jobs, end_ns)
                if on_whole is None
                else self._stream(ring, jobs, end_ns, on_whole)
            )
            usable = answer in (0, -errno.ETIME)
            if answer != 0:
                ring.give_up(jobs.table, jobs.hold)
        except BaseException:
            # A signal's handler has raised: the device still has the buffers.
            ring.give_up(jobs.table, jobs.hold)
            usable = True
            raise
        finally:
            short_transfers = int(ring.words[loops.SHORT]) - short_before
            if short_transfers or ring.n_pinned:
                stale = ring.release()
                self._tally.add({"stale_completions": stale, "short_transfers": short_transfers})
            self._rings.check_in(ring, usable)
        return answer

    def _drive(self, ring: Ring, jobs: RingJobs, end_ns: int, window: int = MOST_SLOTS) -> int:
        n_jobs = len(jobs.table)
        step = max(1, min(self._step, window // _STEPS_A_DEPTH))
        ring.begin(window)
        first = min(window, self._depth)
        for stop in range(first, n_jobs, _DEPTHS_A_STEP * self._depth):
            # The device works on what it has while the next requests become rows, and the rows
            # before those completions.
            jobs.convert(stop)
            answer = ring.drive(jobs.table, stop, 0, step, end_ns)
            jobs.collect(stop - first)
            if answer != 0:
                return answer
        jobs.convert(n_jobs)
        if n_jobs > 2 * first:
            # Nor are the last ones waited for with nothing done: what is over can be collected.
            answer = ring.drive(jobs.table, n_jobs, n_jobs - first, step, end_ns)
            jobs.collect(n_jobs)
            if answer != 0:
                return answer
        return ring.drive(jobs.table, n_jobs, n_jobs, step, end_ns)

    def _stream(self, ring: Ring, jobs: RingJobs, end_ns: int, on_whole: OnWhole) -> int:
        """Drive a batch with no more under way than keeps the device busy, and tell of it."""
        with ring.telling(on_whole):
            return self._drive(ring, jobs, end_ns, jobs.window(_STREAM_BYTES, self._depth))
