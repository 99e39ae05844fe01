"""Order a batch by its place on the device, and move neighbours with one request.

Follows: the kernel's elevator (sort by sector, merge at the back); reading through small holes, as
disk schedulers do, because a request costs more than the bytes between two of them.
Leaves out: when a batch is carried out (scheduler.py).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from operator import sub
from time import monotonic_ns
from typing import NamedTuple

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import Completion, DeadlineError, Request, StorageError
from workbench.tiering.async_io.joined_memory import joined

Submit = Callable[[Sequence[Request], float], list[Completion]]

GAP_BYTES = 16 << 10
MERGED_BYTES = 256 << 10
# From this size of pieces on a scattered read (preadv) beats a copy, below it the copy wins by up
# to 1.7x: the kernel maps the pages of each piece by itself.
_SCATTER_BYTES = 32 << 10
# Beyond it merged reads are scattered by the kernel whatever their size.
_STAGING_BUFFERS = 32
# Linux refuses more buffers a request (IOV_MAX).
_MOST_PIECES = 1024
_MERGEABLE = ("read", "write")


class Moved(NamedTuple):
    """One completion a request in the batch's order, and what the engine saw instead.

    ``transfers`` counts its requests, ``retried`` those of them that repeat a piece of a merged
    one that failed: ``len(completions) == transfers - retried + merged``, where ``merged`` are the
    requests that were spared.
    """

    completions: list[Completion]
    transfers: int
    retried: int

    @property
    def merged(self) -> int:
        """Return how many requests travelled within another one."""
        return len(self.completions) - self.transfers + self.retried


class _Transfer(NamedTuple):
    """What the engine gets for the requests with these numbers, and the memory it goes through."""

    request: Request
    places: list[int]
    staging: memoryview | None


class Merger:
    """Carries batches out, ordered and merged as far as it is told; safe from several threads."""

    def __init__(
        self,
        *,
        order: bool = True,
        merge: bool = True,
        gap_bytes: int = GAP_BYTES,
        merged_bytes: int = MERGED_BYTES,
    ) -> None:
        """Choose what is done.

        Parameters
        ----------
        order : bool         sort by operation, file and offset; off, only requests that already
                             follow each other are merged
        merge : bool         move neighbours together: reads at most ``gap_bytes`` apart, writes
                             that touch each other in the file and in memory
        gap_bytes : int      what may be read between two reads and thrown away, >= 0
        merged_bytes : int   what one merged request moves at most, holes included

        Raises
        ------
        StorageError   if a limit is out of range
        """
        if gap_bytes < 0 or merged_bytes < 1:
            raise StorageError(
                f"gap_bytes={gap_bytes} must be at least 0, merged_bytes={merged_bytes} at least 1"
            )
        self._order = order
        self._merge = merge
        self._gap_bytes = gap_bytes
        self._merged_bytes = merged_bytes
        self._lock = threading.Lock()
        self._staging: list[memoryview] = []
        self._n_staging = 0

    def carry_out(
        self, submit: Submit, batch: Sequence[Request], deadline_s: float, depth: int = 1
    ) -> Moved:
        """Move every block and return one completion a request, in the batch's order.

        With a ``depth`` above 1 at least so many requests are left to be in flight at once: a batch
        that fits into the queue goes as it is, a larger one in pieces of at most a ``depth``-th.

        A merged request that fails is repeated piece by piece in the time that is left, so that
        one bad page costs only the request that asked for it.

        Cost    about 0.6 us a request when nothing can be merged, beside the engine's.
        """
        n = len(batch)
        if n <= depth or not (self._order or self._merge):
            return Moved(submit(batch, deadline_s), n, 0)
        alike = len({request.op for request in batch}) == 1
        alike = alike and len({request.file for request in batch}) == 1
        places = _places(batch, alike) if self._order else list(range(n))
        runs = self._runs(batch, places, alike, depth) if self._merge else []
        if runs:
            return self._carry_runs(submit, batch, places, runs, deadline_s)
        if not self._order:
            return Moved(submit(batch, deadline_s), n, 0)
        moved = submit([batch[place] for place in places], deadline_s)
        completions = moved[:]
        for place, completion in zip(places, moved, strict=True):
            completions[place] = completion
        return Moved(completions, n, 0)

    def _runs(
        self, batch: Sequence[Request], places: list[int], alike: bool, depth: int
    ) -> list[tuple[int, int]]:
        """Return from where to where in ``places`` requests go together, for two and more."""
        # The attribute costs 0.1 us less than the property.
        sizes = [one.n_bytes if one.rest else one.buffer.nbytes for one in batch]
        most_bytes = min(self._merged_bytes, sum(sizes) // depth)
        if most_bytes < 2 * min(sizes):
            return []
        if alike and self._order:
            # Most batches have few neighbours; these two lines find them in C.
            starts = [batch[place].offset for place in places]
            reach = max(sizes) + self._gap_bytes
            near = [at for at, step in enumerate(map(sub, starts[1:], starts)) if step <= reach]
        else:
            near = list(range(len(places) - 1))
        runs: list[tuple[int, int]] = []
        stop = start_byte = end_byte = 0
        for at in near:
            request, after = batch[places[at]], batch[places[at + 1]]
            if at + 1 != stop:
                # Not in the last run, so it may begin one.
                start_byte, end_byte = request.offset, request.offset + request.n_bytes
            end = max(end_byte, after.offset + after.n_bytes)
            if end - start_byte > most_bytes or not self._fits(request, after, end_byte):
                continue
            if at + 1 == stop and stop - runs[-1][0] < _MOST_PIECES:
                runs[-1] = (runs[-1][0], at + 2)
            elif at + 1 != stop:
                runs.append((at, at + 2))
            else:
                continue
            stop, end_byte = at + 2, end
        return runs

    def _fits(self, before: Request, request: Request, end: int) -> bool:
        if request.op != before.op or request.file != before.file or request.op not in _MERGEABLE:
            return False
        if before.rest or request.rest or request.buffer.format != "B":
            return False
        if request.op == "write":
            return request.offset == end and joined([before.buffer, request.buffer]) is not None
        return before.offset <= request.offset <= end + self._gap_bytes and not (
            before.buffer.readonly or request.buffer.readonly
        )

    def _carry_runs(
        self,
        submit: Submit,
        batch: Sequence[Request],
        places: list[int],
        runs: list[tuple[int, int]],
        deadline_s: float,
    ) -> Moved:
        end_ns = monotonic_ns() + int(deadline_s * 1e9)
        requests: list[Request] = []
        stretches: list[tuple[int, list[int]]] = []
        transfers: list[tuple[int, _Transfer]] = []
        at = 0
        for start, stop in (*runs, (len(places), len(places))):
            # Most requests go alone; they cost nothing but their place in the list.
            stretches.append((len(requests), places[at:start]))
            requests += [batch[place] for place in places[at:start]]
            for transfer in self._transfers(batch, places[start:stop]):
                transfers.append((len(requests), transfer))
                requests.append(transfer.request)
            at = stop
        moved = self._submit(submit, requests, transfers, deadline_s)
        done = [moved[0]] * len(batch)
        for first, stretch in stretches:
            for place, completion in zip(stretch, moved[first : first + len(stretch)], strict=True):
                done[place] = completion
        again: list[int] = []
        for at, transfer in transfers:
            again += self._deal(batch, transfer, moved[at], done)
        if again:
            left_s = max(0.0, (end_ns - monotonic_ns()) / 1e9)
            retried = submit([batch[place] for place in again], left_s)
            for place, completion in zip(again, retried, strict=True):
                done[place] = completion
        return Moved(done, len(requests) + len(again), len(again))

    def _submit(
        self,
        submit: Submit,
        requests: list[Request],
        transfers: list[tuple[int, _Transfer]],
        deadline_s: float,
    ) -> list[Completion]:
        """Submit, and know afterwards which staging memory may be used again."""
        staged = [(at, one.staging) for at, one in transfers if one.staging is not None]
        try:
            moved = submit(requests, deadline_s)
        except BaseException:
            # Nothing is known of the memory any more.
            self._lose(len(staged))
            raise
        # A late read still lands in its memory.
        self._lose(sum(isinstance(moved[at].error, DeadlineError) for at, _ in staged))
        return moved

    def _deal(
        self,
        batch: Sequence[Request],
        transfer: _Transfer,
        completion: Completion,
        done: list[Completion],
    ) -> list[int]:
        """Give every request of a transfer its completion and its staged bytes.

        Returns
        -------
        the requests to be tried one by one, because the transfer failed
        """
        (request, places, staging), (_, took_ns, error) = transfer, completion
        late = isinstance(error, DeadlineError)
        if staging is not None and error is None:
            for place in places:
                buffer, at = batch[place].buffer, batch[place].offset - request.offset
                buffer[:] = staging[at : at + buffer.nbytes]
        if staging is not None and not late:
            self._staging.append(staging)
        for place in places:
            done[place] = Completion(batch[place], took_ns, error)
        return places if error is not None and not late and len(places) > 1 else []

    def _transfers(self, batch: Sequence[Request], places: list[int]) -> list[_Transfer]:
        """Return the one request that moves a run, or its pieces if there is no memory for it."""
        if not places:
            return []
        first = batch[places[0]]
        pieces = [batch[place] for place in places]
        buffers = [piece.buffer for piece in pieces]
        seamless = _seamless(pieces)
        whole = joined(buffers) if seamless else None
        if whole is not None:
            return [_Transfer(Request(first.op, first.file, first.offset, whole), places, None)]
        large = sum(buffer.nbytes for buffer in buffers) >= _SCATTER_BYTES * len(places)
        staging = None if seamless and large else self._staging_buffer()
        if staging is not None:
            end = max(piece.offset + piece.buffer.nbytes for piece in pieces)
            memory = staging[: end - first.offset]
            return [_Transfer(Request("read", first.file, first.offset, memory), places, staging)]
        if seamless:
            return [_Transfer(_scattered(first, buffers), places, None)]
        return [_Transfer(batch[place], [place], None) for place in places]

    def _staging_buffer(self) -> memoryview | None:
        with self._lock:
            if self._staging:
                return self._staging.pop()
            if self._n_staging == _STAGING_BUFFERS:
                return None
            self._n_staging += 1
        return aligned_buffer(self._merged_bytes)

    def _lose(self, n: int) -> None:
        with self._lock:
            self._n_staging -= n


def _scattered(first: Request, buffers: list[memoryview]) -> Request:
    return Request(first.op, first.file, first.offset, buffers[0], tuple(buffers[1:]))


def _seamless(pieces: Sequence[Request]) -> bool:
    return all(
        piece.offset + piece.buffer.nbytes == after.offset
        for piece, after in itertools.pairwise(pieces)
    )


def _places(batch: Sequence[Request], alike: bool) -> list[int]:
    """Return the numbers of the requests in the order of their places on the device."""
    if alike:
        offsets = [request.offset for request in batch]
        return sorted(range(len(batch)), key=offsets.__getitem__)
    keys = [(request.op, request.file, request.offset) for request in batch]
    return sorted(range(len(batch)), key=keys.__getitem__)
