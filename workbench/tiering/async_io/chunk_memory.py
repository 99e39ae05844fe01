"""Lend memory to chunks that are read ahead, up to a limit, and take it back when it is safe.

Follows: a buffer that the device may still write into is never lent again.
Leaves out: which chunk is worth it (read_ahead.py).
"""

from __future__ import annotations

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.stream import Chunk


class ChunkMemory:
    """Buffers of one size; not safe between threads.

    Attributes
    ----------
    most : int         buffers at most
    n_buffers : int    that there are, lent or free
    free : list        buffers that nobody uses
    """

    def __init__(self, chunk_bytes: int, most: int) -> None:
        self.most = most
        self.n_buffers = 0
        self.free: list[memoryview] = []
        self._chunk_bytes = chunk_bytes

    def take(self) -> memoryview | None:
        """Return a buffer with whatever was in it before, or None when all are lent."""
        if self.free:
            return self.free.pop()
        if self.n_buffers == self.most:
            return None
        self.n_buffers += 1
        return aligned_buffer(self._chunk_bytes)

    def recycle(self, chunk: Chunk) -> None:
        """Take a chunk's memory back when nobody reads from it and the device is done with it."""
        if not chunk.dropped or chunk.holders or chunk.state == "flying" or not chunk.buffer:
            return
        if chunk.lost:
            # The device may still write into it.
            self.n_buffers -= 1
        else:
            self.free.append(chunk.buffer)
        chunk.buffer = memoryview(b"")
