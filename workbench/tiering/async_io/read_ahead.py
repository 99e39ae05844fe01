"""Read on behind sequential readers before they ask, and stay out of the way of all others.

Follows: Linux's read-ahead (detect, double, thrash detection); the hit rate of what was read ahead
decides how much is, down to nothing.
Leaves out: who reads in sequence (streams.py), what it was worth (read_ahead_counts.py); patterns
with a stride, backward readers, knowing a file's length.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic_ns

from workbench.tiering.async_io.chunk_memory import ChunkMemory
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    Completion,
    DeadlineError,
    Request,
    ShortTransferError,
    StorageError,
)
from workbench.tiering.async_io.gain import Gain
from workbench.tiering.async_io.heads import FILE_BITS, head_key
from workbench.tiering.async_io.read_ahead_counts import ReadAheadCounts
from workbench.tiering.async_io.read_ahead_stats import ReadAheadStats
from workbench.tiering.async_io.read_plan import Plan
from workbench.tiering.async_io.stream import Chunk, Piece, Stream
from workbench.tiering.async_io.streams import RUN_TRUSTED, Streams
from workbench.tiering.async_io.ticket import DroppedError, Settled

Fetch = Callable[[Sequence[Request], float, Settled], None]

# After so many batches without a stream only two of every sixteen are looked at: enough to find the
# next one. A read that goes on where one ended keeps it awake for some batches.
_QUIET_AFTER, _LOOK_EVERY, _AWAKE_FOR = 16, 16, 4
# Reads that must have continued each other before anything is read ahead, after most of what was
# read ahead has been wasted.
_RUN_DOUBTED = 32
# How long a read waits at most for bytes that are on their way before it gets them itself.
_PATIENCE_S = 1.0


class ReadAhead:
    """Predictor and cache of one scheduler; safe from several threads."""

    def __init__(
        self,
        *,
        chunk_bytes: int = 256 << 10,
        cache_bytes: int = 16 << 20,
        streams: int = 16,
        measure: bool = True,
    ) -> None:
        """Start with nothing read.

        Parameters
        ----------
        chunk_bytes : int   read ahead at a time, a multiple of 4 KiB
        cache_bytes : int   memory for it at most, in use or on its way, >= ``chunk_bytes``
        streams : int       sequential readers followed at once
        measure : bool      pause where reads turn out to be no faster for it (gain.py)

        Raises
        ------
        StorageError   if a limit is out of range
        """
        if chunk_bytes < 1 or chunk_bytes % PAGE_BYTES or cache_bytes < chunk_bytes or streams < 1:
            raise StorageError(
                f"chunk_bytes={chunk_bytes} must be a multiple of {PAGE_BYTES}, "
                f"cache_bytes={cache_bytes} at least that much, streams={streams} at least 1"
            )
        self._chunk_bytes = chunk_bytes
        self._memory = ChunkMemory(chunk_bytes, cache_bytes // chunk_bytes)
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._streams = Streams(streams, self._retire)
        self._heads = self._streams.heads
        self._quiet = 0
        self._measures = measure
        self._gains: dict[int, Gain] = {}
        self._counts = ReadAheadCounts()
        self._fetch: Fetch | None = None
        self._hurry: Callable[[int], None] | None = None

    def bind(self, fetch: Fetch, hurry: Callable[[int], None]) -> None:
        """Learn how to queue reads, and how to say that somebody waits for them.

        Raises
        ------
        StorageError   if another scheduler uses this already
        """
        if self._fetch is not None:
            raise StorageError("this ReadAhead has its scheduler already; make one for each")
        self._fetch, self._hurry = fetch, hurry

    def follows(self, batch: Sequence[Request]) -> bool:
        """Return whether a batch of reads may continue an earlier one.

        Cost    0.1 us a request and 3 us a batch when it does not; 0.5 us a batch for most batches
                when none has for a while, as with random reads.
        """
        if not batch:
            return False
        is_read = batch[0].op == "read"
        gain = self._gains.get((len(batch) * batch[0].n_bytes).bit_length())
        rests = gain is not None and gain.resting
        if rests or (self._quiet > _QUIET_AFTER and self._quiet % _LOOK_EVERY > 1):
            if is_read:
                with self._lock:
                    self._quiet += 1
                    self._counts.missed(len(batch))
                    if gain is not None:
                        gain.rest()
            return False
        if not self._heads.keys().isdisjoint(
            [request.offset << FILE_BITS | request.file for request in batch]
        ):
            return True
        if is_read:
            with self._lock:
                self._counts.missed(len(batch))
                self._note_some(batch)
        return False

    def plan(self, batch: Sequence[Request]) -> Plan:
        """Decide where the bytes of each request come from, and what to read ahead next."""
        plan = Plan()
        moved: dict[int, Stream] = {}
        places = {head_key(one.file, one.offset): place for place, one in enumerate(batch)}
        with self._lock:
            # Only reads that go on where another one ended are looked at.
            self._quiet = min(self._quiet, _QUIET_AFTER - _AWAKE_FOR)
            for key in self._heads.keys() & places.keys():
                self._streams.follow(plan, batch, places, key, moved)
            n_reads = [request.op for request in batch].count("read")
            self._counts.missed(n_reads - len(plan.pieces))
            self._note_some(batch)
            if moved:
                self._quiet = 0
            if moved and self._measures:
                size = sum(request.n_bytes for request in batch)
                plan.gain = self._gains.setdefault(size.bit_length(), Gain())
            for stream in moved.values():
                for chunk in stream.passed():
                    self._retire(chunk, stream)
                # It may have been given up for another one of this batch.
                if stream in self._streams and not (plan.gain and plan.gain.resting):
                    self._extend(plan, stream)
        return plan

    def serve(self, request: Request) -> bool:
        """Fill a read from the chunk that its stream stands in, if nothing else is to be done.

        Cost    3 us and the copy; everything beyond goes by `plan`.
        """
        start_ns = monotonic_ns()
        key = head_key(request.file, request.offset)
        with self._lock:
            stream = self._heads.get(key)
            if (
                not isinstance(stream, Stream)
                or not stream.chunks
                or request.op != "read"
                or request.rest
            ):
                return False
            chunk, n_bytes = stream.chunks[0], request.buffer.nbytes
            at, end = stream.position - chunk.start, stream.position + n_bytes
            ahead = stream.chunks[-1].end - end
            if at < 0 or end >= chunk.end or chunk.state != "ready" or not n_bytes:
                return False
            end_key = head_key(request.file, end)
            if ahead <= stream.depth * self._chunk_bytes // 2 or end_key in self._heads:
                return False
            request.buffer[:] = chunk.buffer[at : at + n_bytes]
            chunk.used_bytes += n_bytes
            del self._heads[key]
            self._heads[end_key] = stream
            stream.position = end
            stream.run += 1
            self._streams.clock += 1
            stream.touched = self._streams.clock
            self._counts.got(n_bytes, n_bytes)
            gain = self._gains.get(n_bytes.bit_length())
            if gain is not None:
                gain.note_memory(monotonic_ns() - start_ns, n_bytes)
            return True

    def learn(self, plan: Plan, n_bytes: int, took_ns: int) -> None:
        """Note how long a batch took, to compare reads with and without reading ahead."""
        if plan.gain is not None and n_bytes:
            with self._lock:
                note = plan.gain.note_ahead if plan.pieces else plan.gain.note_direct
                note(took_ns, n_bytes)

    def fetch(self, plan: Plan) -> None:
        """Queue the reads that a plan wants; what is refused is counted and forgotten."""
        if not plan.wanted or self._fetch is None:
            return
        wanted = plan.wanted
        batch = [Request("read", file, one.start, one.buffer) for file, one in wanted]
        try:
            self._fetch(batch, _PATIENCE_S, lambda outcomes: self._settle(wanted, outcomes))
        except StorageError as error:
            refused = DroppedError(str(error))
            self._settle(
                wanted, [(at, Completion(one, 0, refused)) for at, one in enumerate(batch)]
            )

    def collect(self, plan: Plan, batch: Sequence[Request], end_ns: int) -> dict[int, int]:
        """Copy what was read ahead, waiting for what is on its way.

        Returns
        -------
        number of a request -> bytes that it has got, from its start on; not those with none
        """
        got = {at: self._copy(batch[at], pieces, end_ns) for at, pieces in plan.pieces.items()}
        with self._lock:
            for at, pieces in plan.pieces.items():
                self._counts.got(got[at], batch[at].n_bytes)
                for piece in pieces:
                    piece.chunk.holders -= 1
                    self._memory.recycle(piece.chunk)
        return {at: n_bytes for at, n_bytes in got.items() if n_bytes}

    def overwritten(
        self, writes: Sequence[Request], completions: Sequence[Completion] = ()
    ) -> None:
        """Drop what was read ahead of bytes that change: to be called before and after the change.

        A write that missed its deadline may still land at any time: nothing of its file is read
        ahead any more.
        """
        late = {one.request.file for one in completions if isinstance(one.error, DeadlineError)}
        with self._lock:
            self._streams.overwritten(writes, late)

    def forget(self, file: int) -> None:
        """Drop everything about a file."""
        with self._lock:
            self._streams.forget_file(file)

    def stats(self) -> ReadAheadStats:
        """Return the counters so far, consistent with each other."""
        with self._lock:
            return self._counts.stats(self._streams.n_held)

    def _note_some(self, batch: Sequence[Request]) -> None:
        self._quiet += 1
        self._streams.note(batch)

    # Chunks

    def _extend(self, plan: Plan, stream: Stream) -> None:
        """Ask for more when half of the window is used up."""
        needed = RUN_TRUSTED if self._counts.trusted else _RUN_DOUBTED
        if stream.run < needed or stream.position < stream.barrier:
            return
        share = max(1, self._memory.most // (1 + self._streams.n_reading_beside(stream)))
        stream.depth = min(max(1, stream.depth), share)
        at = stream.window_end
        ahead = -(-(at - stream.position) // self._chunk_bytes)
        if ahead > stream.depth // 2:
            return
        for _ in range(stream.depth - ahead):
            if at + self._chunk_bytes > self._streams.known_end.get(stream.file, 1 << 62):
                return
            buffer = self._memory.take() or self._take_of_idlest(stream)
            if buffer is None:
                return
            chunk = Chunk(at, self._chunk_bytes, buffer)
            stream.chunks.append(chunk)
            plan.wanted.append((stream.file, chunk))
            self._counts.fetched(self._chunk_bytes)
            at = chunk.end

    def _settle(
        self, wanted: Sequence[tuple[int, Chunk]], outcomes: Sequence[tuple[int, Completion]]
    ) -> None:
        """Note what became of reads that were asked for."""
        with self._lock:
            for number, completion in outcomes:
                file, chunk = wanted[number]
                if completion.error is None:
                    chunk.state = "ready"
                else:
                    chunk.state = "failed"
                    chunk.lost = isinstance(completion.error, DeadlineError)
                    self._fail(file, chunk, completion.error)
                self._memory.recycle(chunk)
            self._arrived.notify_all()

    def _fail(self, file: int, chunk: Chunk, error: StorageError) -> None:
        if isinstance(error, ShortTransferError):
            ends = self._streams.known_end
            ends[file] = min(ends.get(file, chunk.end), chunk.end - 1)
        stream = None if chunk.dropped else self._streams.holder(chunk)
        if stream is not None:
            for gone in stream.cut(chunk.start):
                self._retire(gone, stream)
            stream.barrier = chunk.end
            stream.depth //= 2

    def _retire(self, chunk: Chunk, stream: Stream) -> None:
        """Count a chunk that leaves its window, and learn from it."""
        chunk.dropped = True
        self._counts.retired(chunk)
        if chunk.state != "failed":
            stream.depth = (
                min(2 * stream.depth, self._memory.most) if chunk.used_bytes else stream.depth // 2
            )
        self._memory.recycle(chunk)

    def _take_of_idlest(self, stream: Stream) -> memoryview | None:
        return self._memory.take() if self._streams.forget_idlest(stream) else None

    def _copy(self, request: Request, pieces: Sequence[Piece], end_ns: int) -> int:
        """Fill a request from its pieces up to the first that failed; return how far that is."""
        done = 0
        for piece in pieces:
            chunk = piece.chunk
            if chunk.state == "flying":
                self._wait_for(chunk, end_ns)
            if chunk.state != "ready":
                break
            done = piece.at + piece.n_bytes
            request.buffer[piece.at : done] = chunk.buffer[
                piece.start : piece.start + piece.n_bytes
            ]
        return done

    def _wait_for(self, chunk: Chunk, end_ns: int) -> None:
        if self._hurry is None:
            return
        until_ns = min(monotonic_ns() + int(_PATIENCE_S * 1e9), (monotonic_ns() + end_ns) // 2)
        self._hurry(1)
        try:
            with self._lock:
                while chunk.state == "flying" and (left_ns := until_ns - monotonic_ns()) > 0:
                    self._arrived.wait(left_ns / 1e9)
        finally:
            self._hurry(-1)
