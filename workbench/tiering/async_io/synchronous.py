"""Move one block at a time and wait for it: the plainest engine, and the baseline of the others.

Follows: preadv/pwritev at an offset; O_DIRECT on Linux, F_NOCACHE on macOS, or buffered.
Leaves out: queue depth, merging, read-ahead; a deadline is seen between requests, never in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns

from workbench.tiering.async_io.blocking import carry_out
from workbench.tiering.async_io.checks import too_late, unknown_file
from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.async_io.files import OpenFile
from workbench.tiering.async_io.real_files import RealFiles


class SynchronousEngine(RealFiles):
    """Reads, writes and flushes, request after request, in the calling thread."""

    def __init__(self, *, direct: bool = True, write_through: bool = False) -> None:
        """Start with no file.

        Parameters
        ----------
        direct : bool          bypass the page cache; a file whose file system refuses is buffered,
                               once and for good, and the stats say why
        write_through : bool   every write reaches the device before it completes (O_DSYNC)
        """
        super().__init__(direct=direct, write_through=write_through)
        self.kind = "synchronous" if direct else "buffered"

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        """Carry out every request in order, each to its end before the next begins.

        A request that hangs cannot be given up; those behind it fail with `DeadlineError`.

        Raises
        ------
        StorageError   only if the engine is closed or was opened before a fork; a block's failure
                       is in its completion

        Cost    one system call a block and about 3 us around it; latencies are those of the block.
        """
        self._refuse_fork()
        end_ns = perf_counter_ns() + int(deadline_s * 1e9)
        completions: list[Completion] = []
        short_transfers, all_whole = 0, True
        with self._files.borrowed({request.file for request in batch}) as files:
            for request in batch:
                start_ns = perf_counter_ns()
                file = files.get(request.file)
                error, short = (
                    self._carry_out(request, file)
                    if start_ns < end_ns
                    else (too_late(request, _name(file), deadline_s, tried=False), 0)
                )
                short_transfers += short
                completions.append(Completion(request, perf_counter_ns() - start_ns, error))
                all_whole = all_whole and error is None
                if all_whole and on_whole is not None:
                    on_whole(len(completions))
        self._tally.count(completions, short_transfers)
        return completions

    def _carry_out(
        self, request: Request, file: OpenFile | None
    ) -> tuple[StorageError | None, int]:
        if file is None:
            return unknown_file(request), 0
        return carry_out(request, file, self._files)


def _name(file: OpenFile | None) -> str:
    return "unknown file" if file is None else file.name
