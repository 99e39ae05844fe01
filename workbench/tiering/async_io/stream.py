"""Follow one sequential reader: where it is, and what has been read ahead of it.

Follows: Linux's read-ahead window, which moves with its reader and doubles while it is used.
Leaves out: locks, memory and the decision to read ahead at all (read_ahead.py).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Chunk:
    """One piece that was, or is being, read ahead.

    Attributes
    ----------
    start, n_bytes : int     its place in the file
    buffer : memoryview      uint8[n_bytes]
    state : str              "flying" until the device has answered, then "ready" or "failed"
    used_bytes : int         handed to its reader so far
    holders : int            reads that still copy from it: its memory is not used for another one
    dropped : bool           no longer in any window
    lost : bool              its read missed the deadline: the device may still write into it
    """

    start: int
    n_bytes: int
    buffer: memoryview
    state: str = "flying"
    used_bytes: int = 0
    holders: int = 0
    dropped: bool = False
    lost: bool = False

    @property
    def end(self) -> int:
        """Return the position after it."""
        return self.start + self.n_bytes


@dataclass(slots=True)
class Piece:
    """Bytes of a chunk that belong into a request's buffer at ``at``."""

    chunk: Chunk
    at: int
    start: int
    n_bytes: int


@dataclass(eq=False, slots=True)
class Stream:
    """One reader.

    Attributes
    ----------
    position : int           where it goes on
    run : int                reads that have continued each other
    depth : int              chunks to read ahead
    touched : int            logical clock of its last read
    barrier : int            nothing is read ahead before its reader has come that far
    chunks : deque of Chunk  the window: one after the other, without holes
    """

    file: int
    position: int
    run: int = 1
    depth: int = 0
    touched: int = 0
    barrier: int = 0
    chunks: deque[Chunk] = field(default_factory=deque)

    @property
    def window_end(self) -> int:
        """Return how far has been read ahead."""
        return max(self.position, self.chunks[-1].end) if self.chunks else self.position

    def take(self, n_bytes: int) -> list[Piece]:
        """Move on by ``n_bytes`` and return what of them lies in the window, from the start on."""
        begin, stop = self.position, self.position + n_bytes
        pieces: list[Piece] = []
        at = begin
        for chunk in self.chunks:
            if chunk.start > at or at == stop:
                break
            if chunk.end <= at:
                continue
            n_here = min(chunk.end, stop) - at
            pieces.append(Piece(chunk, at - begin, at - chunk.start, n_here))
            chunk.holders += 1
            chunk.used_bytes += n_here
            at += n_here
        self.position = stop
        self.run += 1
        return pieces

    def passed(self) -> list[Chunk]:
        """Take out the chunks that the reader has left behind."""
        left: list[Chunk] = []
        while self.chunks and self.chunks[0].end <= self.position:
            left.append(self.chunks.popleft())
        return left

    def cut(self, start: int) -> list[Chunk]:
        """Take out every chunk that ends after ``start``: the window has to stay in one piece."""
        gone: list[Chunk] = []
        while self.chunks and self.chunks[-1].end > start:
            gone.append(self.chunks.pop())
        return gone
