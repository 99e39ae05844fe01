"""Move many blocks at once with a pool of threads: the engine for systems without a ring.

Follows: preadv/pwritev release the GIL, so threads make the queue depth.
Leaves out: waking fewer threads than blocks; a thread that hangs in a system call cannot be
stopped, only counted, replaced within limits, and left behind.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from time import monotonic_ns, perf_counter_ns

from workbench.tiering.async_io.blocking import carry_out
from workbench.tiering.async_io.checks import too_late, unknown_file
from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.async_io.files import FileTable, OpenFile
from workbench.tiering.async_io.real_files import RealFiles

# More threads than this only wait for the GIL: at 4 KiB 8 reach most of what 32 do.
MOST_THREADS = 16


class _Batch:
    """One submitted batch; whoever leaves it last gives its files back.

    Requests are taken in order. Once closed, no further one is begun, and those under way are
    late: nobody hears of them.
    """

    def __init__(self, requests: Sequence[Request], table: FileTable) -> None:
        self.requests = requests
        self.files = table.borrow({request.file for request in requests})
        self._table = table
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._completions: list[Completion | None] = [None] * len(requests)
        self._begun = 0
        self._ended = 0
        # Requests from the first on that have moved whole.
        self._n_whole = 0
        self._is_watched = False
        self._closed = False
        self._holders = 1
        self.short_transfers = 0

    def take(self) -> int | None:
        """Return the number of a request that is now under way, or None if there is no more."""
        with self._lock:
            if self._closed or self._begun == len(self.requests):
                return None
            self._begun += 1
            self._holders += 1
            return self._begun - 1

    def end(self, number: int, took_ns: int, error: StorageError | None, short: int) -> bool:
        """Note the outcome of a request that was taken; return whether it came in time."""
        with self._lock:
            in_time = not self._closed
            if in_time:
                self._completions[number] = Completion(self.requests[number], took_ns, error)
                self.short_transfers += short
                self._ended += 1
                if self._is_watched or self._ended == len(self.requests):
                    self._changed.notify()
        self.leave()
        return in_time

    def wait(self, end_ns: int, on_whole: OnWhole | None) -> None:
        """Wait until every request is over or time is up; tell how many are whole meanwhile."""
        n_told, is_over = 0, False
        self._is_watched = on_whole is not None
        while not is_over and (left_ns := end_ns - monotonic_ns()) > 0:
            with self._lock:
                is_over = self._ended == len(self.requests)
                if not is_over and self._count_whole() == n_told:
                    self._changed.wait(left_ns / 1e9)
                n_whole = self._count_whole()
            if on_whole is not None and n_whole > n_told:
                on_whole(n_whole)
                n_told = n_whole

    def _count_whole(self) -> int:
        while self._is_watched and self._n_whole < self._ended:
            done = self._completions[self._n_whole]
            if done is None or done.error is not None:
                break
            self._n_whole += 1
        return self._n_whole

    def leave(self) -> None:
        """Let go of the batch."""
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self._table.give_back(self.files.values())

    def close(self, deadline_s: float, took_ns: int) -> tuple[list[Completion], int]:
        """Return a completion for each request, and how many are still under way."""
        with self._lock:
            self._closed = True
            completions = [
                done or Completion(request, took_ns, self._late(number, deadline_s))
                for number, (request, done) in enumerate(
                    zip(self.requests, self._completions, strict=True)
                )
            ]
            return completions, self._begun - self._ended

    def _late(self, number: int, deadline_s: float) -> StorageError:
        request = self.requests[number]
        file = self.files.get(request.file)
        name = "unknown file" if file is None else file.name
        return too_late(request, name, deadline_s, tried=number < self._begun)


class ThreadEngine(RealFiles):
    """Carries out batches on a bounded pool of threads; safe to call from several threads."""

    kind = "threads"

    def __init__(
        self,
        *,
        depth: int = 32,
        direct: bool = True,
        write_through: bool = False,
        reason: str = "",
    ) -> None:
        """Start with no file and no thread.

        Parameters
        ----------
        depth : int            requests in flight at most; above 16 no more threads are made
        direct : bool          bypass the page cache; a file whose file system refuses is buffered
        write_through : bool   every write reaches the device before it completes (O_DSYNC)
        reason : str           why a better engine was not had, for the stats

        Raises
        ------
        StorageError   if ``depth`` is not positive
        """
        super().__init__(direct=direct, write_through=write_through, reason=reason)
        if depth < 1:
            raise StorageError(f"a queue depth of {depth} moves nothing; give at least 1")
        self._n_threads = min(depth, MOST_THREADS)
        # As many again may replace threads that hang; beyond that the engine slows down.
        self._most_threads = 2 * self._n_threads
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._workers: set[threading.Thread] = set()
        self._stuck = 0

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        """Carry out every request on the pool; see `engine.Engine.submit`.

        Raises
        ------
        StorageError   only if the engine is closed or was opened before a fork

        Cost    about 50 us a batch and 10 us a request, beside the device's time.
        """
        self._refuse_fork()
        start_ns = monotonic_ns()
        work = _Batch(batch, self._files)
        under_way = 0
        try:
            if batch and deadline_s > 0:
                self._begin(work, len(batch))
                work.wait(start_ns + int(deadline_s * 1e9), on_whole)
        finally:
            completions, under_way = work.close(deadline_s, monotonic_ns() - start_ns)
            self._replace(under_way)
            work.leave()
        self._tally.count(completions, work.short_transfers)
        return completions

    def close(self) -> None:
        """Close every file and end the threads, waiting at most the default deadline for them."""
        end_ns = monotonic_ns() + int(DEFAULT_DEADLINE_S * 1e9)
        self._files.close()
        with self._lock:
            workers = list(self._workers)
        for _ in workers:
            self._queue.put(None)
        while (left_s := (end_ns - monotonic_ns()) / 1e9) > 0 and workers:
            workers[0].join(min(left_s, 0.01))
            workers = [worker for worker in workers if worker.is_alive()]
            if self._pinned() >= len(workers):
                # Those left hang: they are daemons and end with the process, or when they wake.
                break

    def _pinned(self) -> int:
        # A thread may wake between its batch's end and its being counted.
        return max(0, self._stuck)

    def _begin(self, work: _Batch, n_requests: int) -> None:
        n_useful = min(n_requests, self._n_threads)
        with self._lock:
            self._grow(n_useful)
        for _ in range(n_useful):
            self._queue.put(work)

    def _grow(self, n_useful: int) -> None:
        """Start threads until that many are free of hung calls, within the limit."""
        while (
            len(self._workers) - self._stuck < n_useful and len(self._workers) < self._most_threads
        ):
            worker = threading.Thread(target=self._work, name="async-io", daemon=True)
            self._workers.add(worker)
            worker.start()

    def _replace(self, under_way: int) -> None:
        if under_way:
            with self._lock:
                self._stuck += under_way
                self._grow(self._n_threads)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            while (number := work.take()) is not None:
                self._carry_out(work, number)
            # Not kept until the next batch comes: it holds the caller's buffers.
            del work
            if self._left_as_surplus():
                return
        with self._lock:
            self._workers.discard(threading.current_thread())

    def _carry_out(self, work: _Batch, number: int) -> None:
        request = work.requests[number]
        file: OpenFile | None = work.files.get(request.file)
        start_ns = perf_counter_ns()
        error, short = (
            (unknown_file(request), 0) if file is None else carry_out(request, file, self._files)
        )
        if not work.end(number, perf_counter_ns() - start_ns, error, short):
            self._tally.add({"stale_completions": 1})
            with self._lock:
                self._stuck -= 1

    def _left_as_surplus(self) -> bool:
        """Let a thread that was replaced while it hung leave, and return whether it did."""
        with self._lock:
            surplus = len(self._workers) - self._stuck > self._n_threads
            if surplus:
                self._workers.discard(threading.current_thread())
            return surplus
