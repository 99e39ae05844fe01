"""Know the sequential readers of all files: where each stands, and who has not come back for long.

Follows: a read that goes on where another one ended continues it; so many in a row are a stream.
Leaves out: locks, and what is read ahead of a stream (read_ahead.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from workbench.tiering.async_io.engine import Request
from workbench.tiering.async_io.heads import Heads, head_key
from workbench.tiering.async_io.read_plan import Plan
from workbench.tiering.async_io.stream import Chunk, Stream

# Reads that must have continued each other before anything is read ahead.
RUN_TRUSTED = 3
# Batches after which a reader that has not come back may lose its window's memory to another one,
# or is forgotten if it has none.
_IDLE_TURNS = 64


class Streams:
    """At most so many streams; the one that has not come back for longest makes room.

    Attributes
    ----------
    heads : dict        by `head_key` of where the next read would begin: a stream, or how many
                        reads have continued each other up to there
    clock : int         batches so far
    known_end : dict    by file: no whole chunk lies beyond this position
    untrusted : set     files to which a late write may still come: nothing of them is read ahead
    """

    def __init__(self, most: int, retire: Callable[[Chunk, Stream], None]) -> None:
        """Start with none; ``retire`` is told of each chunk that leaves a window."""
        self._most = most
        self._retire = retire
        self._known = Heads()
        self.heads = self._known.places
        self.clock = 0
        self.known_end: dict[int, int] = {}
        self.untrusted: set[int] = set()
        self._streams: dict[int, Stream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams.values())

    def __contains__(self, stream: Stream) -> bool:
        return id(stream) in self._streams

    @property
    def n_held(self) -> int:
        """Return the chunks in all windows."""
        return sum(len(stream.chunks) for stream in self._streams.values())

    def n_reading_beside(self, stream: Stream) -> int:
        """Return how many other streams have something read ahead."""
        return sum(1 for one in self._streams.values() if one.chunks and one is not stream)

    def holder(self, chunk: Chunk) -> Stream | None:
        """Return the stream in whose window a chunk is."""
        return next((one for one in self._streams.values() if chunk in one.chunks), None)

    def note(self, batch: Sequence[Request]) -> None:
        """Note the last read of a batch, and in turn one other: it may hold several streams."""
        self.clock += 1
        self._known.note(batch[-1])
        if len(batch) > 1:
            self._known.note(batch[self.clock % len(batch)])
        if self.clock % _IDLE_TURNS == 0:
            for stream in list(self._streams.values()):
                if not stream.chunks and self.clock - stream.touched > _IDLE_TURNS:
                    self.forget(stream)

    def follow(
        self,
        plan: Plan,
        batch: Sequence[Request],
        places: dict[int, int],
        key: int,
        moved: dict[int, Stream],
    ) -> None:
        """Let a run go on with a read of the batch, and with those that continue that one."""
        while (place := places.pop(key, None)) is not None and key in self.heads:
            request = batch[place]
            if request.op != "read" or request.file in self.untrusted:
                return
            head = self.heads.pop(key)
            end = head_key(request.file, request.offset + request.n_bytes)
            if isinstance(head, int) and head + 1 < RUN_TRUSTED:
                if end not in self.heads:
                    self._known.expect(end, head + 1)
            else:
                stream = head if isinstance(head, Stream) else self._begin(request, head)
                stream.touched = self.clock
                moved[id(stream)] = stream
                self._take(plan, place, request, stream)
            key = end

    def _begin(self, request: Request, run: int) -> Stream:
        if len(self._streams) == self._most:
            self.forget(min(self._streams.values(), key=lambda one: one.touched))
        stream = Stream(request.file, request.offset, run)
        self._streams[id(stream)] = stream
        return stream

    def _take(self, plan: Plan, place: int, request: Request, stream: Stream) -> None:
        pieces = stream.take(request.n_bytes)
        key = head_key(stream.file, stream.position)
        other = self.heads.get(key)
        if isinstance(other, Stream):
            # Two readers have met; one stream is enough for both.
            self.forget(other)
        self.heads[key] = stream
        if stream.position > self.known_end.get(stream.file, stream.position):
            del self.known_end[stream.file]
        if request.rest:
            # Not worth the code: nobody scatters what can be copied.
            for piece in pieces:
                piece.chunk.holders -= 1
                piece.chunk.used_bytes -= piece.n_bytes
        elif pieces:
            plan.pieces[place] = pieces

    def forget_idlest(self, beside: Stream) -> bool:
        """Give up the window of a reader that has not come back for long, if there is one."""
        idle = [one for one in self._streams.values() if one is not beside and one.chunks]
        idlest = min(idle, key=lambda one: one.touched, default=None)
        if idlest is None or self.clock - idlest.touched < _IDLE_TURNS:
            return False
        self.forget(idlest)
        return True

    def forget(self, stream: Stream) -> None:
        """Drop a stream and what was read ahead of it."""
        for chunk in stream.cut(-1):
            self._retire(chunk, stream)
        del self._streams[id(stream)]
        key = head_key(stream.file, stream.position)
        if self.heads.get(key) is stream:
            del self.heads[key]

    def forget_file(self, file: int) -> None:
        """Drop everything about a file."""
        for stream in self._of(file):
            self.forget(stream)
        self.known_end.pop(file, None)
        self.untrusted.discard(file)

    def overwritten(self, writes: Sequence[Request], late: set[int]) -> None:
        """Drop what was read ahead of bytes that change, and all of files written late."""
        self.untrusted |= late
        for file in {write.file for write in writes}:
            self.known_end.pop(file, None)
            for stream in self._of(file):
                if file in late:
                    self.forget(stream)
                    continue
                for write in writes:
                    if write.file == file:
                        self._drop_span(stream, write.offset, write.offset + write.n_bytes)

    def _of(self, file: int) -> list[Stream]:
        return [stream for stream in self._streams.values() if stream.file == file]

    def _drop_span(self, stream: Stream, start: int, end: int) -> None:
        for chunk in stream.chunks:
            if chunk.start < end and start < chunk.end:
                for gone in stream.cut(max(start, chunk.start)):
                    self._retire(gone, stream)
                return
