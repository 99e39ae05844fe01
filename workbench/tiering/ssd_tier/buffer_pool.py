"""Lend page-aligned memory that comes back by itself when the last view of it is gone.

Follows: pools touched once (first touch costs 3-13 times a copy); a buffer that an engine still
holds after a deadline is not lent again, because the engine's view keeps it.
Leaves out: registering buffers with a ring.
"""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict, deque

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.memory import allocate

# Sizes are rounded up to 4, 5, 6 or 7 times a power of two: at most a quarter is wasted.
_STEPS = 4


class BufferPool:
    """Memory of one store; safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        """Keep at most ``max_bytes``, lent or not; what is needed beyond is given up after use."""
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._idle: defaultdict[int, list[NDArray[np.uint8]]] = defaultdict(list)
        # Views die anywhere, even while this thread holds the lock: appending needs none.
        self._returned: deque[NDArray[np.uint8]] = deque()
        self._lock = threading.Lock()
        self._unpooled = 0

    def lease(self, n_bytes: int) -> memoryview:
        """Return writable uint8[n_bytes] on a page boundary, with whatever was in it before.

        Cost    about 5 us from the pool; the first time also a touch of every page.
        """
        size = size_class(n_bytes)
        with self._lock:
            block = self._take(size)
        if block is None:
            return allocate(size)[:n_bytes].data
        lent = block[:n_bytes]
        weakref.finalize(lent, self._returned.append, block).atexit = False
        return lent.data

    @property
    def held_bytes(self) -> int:
        """Return the bytes that the pool keeps, lent or idle."""
        return self._held_bytes

    @property
    def unpooled(self) -> int:
        """Return how many buffers were needed beyond the limit."""
        return self._unpooled

    def lent(self) -> int:
        """Return how many pooled buffers are still looked at by somebody."""
        with self._lock:
            self._collect()
            idle_bytes = sum(size * len(blocks) for size, blocks in self._idle.items())
            return self._held_bytes - idle_bytes

    def _take(self, size: int) -> NDArray[np.uint8] | None:
        self._collect()
        if self._idle[size]:
            return self._idle[size].pop()
        while self._held_bytes + size > self._max_bytes and self._drop_one(size):
            pass
        if self._held_bytes + size > self._max_bytes:
            self._unpooled += 1
            return None
        block = allocate(size)
        self._held_bytes += size
        return block

    def _collect(self) -> None:
        while self._returned:
            block = self._returned.popleft()
            self._idle[block.nbytes].append(block)

    def _drop_one(self, wanted: int) -> bool:
        """Give up an idle block of another size, the largest first; return whether one was."""
        for size in sorted(self._idle, reverse=True):
            if size != wanted and self._idle[size]:
                self._idle[size].pop()
                self._held_bytes -= size
                return True
        return False


def size_class(n_bytes: int) -> int:
    """Return the next size in bytes that the pool keeps."""
    pages = max(1, -(-n_bytes // PAGE_BYTES))
    step = 1 << max(0, pages.bit_length() - _STEPS.bit_length())
    return -(-pages // step) * step * PAGE_BYTES
