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
# Buffers are cut from slabs, because only slabs are large enough for huge pages: a read into those
# costs the kernel a few pieces instead of hundreds, and is 1.5 to 2 times as fast here.
_SMALL_BUFFERS = 16
_HUGE_PAGE = 2 << 20
_HUGE_FROM = 32 << 10
# No slab takes more of the pool than this part.
_SLABS = 8


class _Slab:
    """One piece of memory, cut into buffers of one size."""

    def __init__(self, size: int, n_buffers: int) -> None:
        memory = allocate(size * n_buffers)
        self.n_bytes = size * n_buffers
        self.idle = [memory[at : at + size] for at in range(0, self.n_bytes, size)]
        self._n_buffers = n_buffers

    @property
    def unused(self) -> bool:
        """Return whether no buffer of it is lent."""
        return len(self.idle) == self._n_buffers


class BufferPool:
    """Memory of one store; safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        """Keep at most ``max_bytes``, lent or not; what is needed beyond is given up after use."""
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._slabs: defaultdict[int, list[_Slab]] = defaultdict(list)
        # Views die anywhere, even while this thread holds the lock: appending needs none.
        self._returned: deque[tuple[_Slab, NDArray[np.uint8]]] = deque()
        self._lock = threading.Lock()
        self._unpooled = 0

    def lease(self, n_bytes: int) -> memoryview:
        """Return writable uint8[n_bytes] on a page boundary, with whatever was in it before.

        Cost    about 5 us from the pool; the first time also a touch of every page.
        """
        size = size_class(n_bytes)
        with self._lock:
            taken = self._take(size)
        if taken is None:
            return allocate(size)[:n_bytes].data
        slab, buffer = taken
        lent = buffer[:n_bytes]
        weakref.finalize(lent, self._returned.append, (slab, buffer)).atexit = False
        return lent.data

    @property
    def held_bytes(self) -> int:
        """Return the bytes that the pool keeps, lent or idle."""
        return self._held_bytes

    @property
    def unpooled(self) -> int:
        """Return how many buffers were needed beyond the limit."""
        return self._unpooled

    def lent_bytes(self) -> int:
        """Return the bytes of pooled buffers that somebody still looks at."""
        with self._lock:
            self._collect()
            slabs = [(size, slab) for size, slabs in self._slabs.items() for slab in slabs]
            return self._held_bytes - sum(size * len(slab.idle) for size, slab in slabs)

    def _take(self, size: int) -> tuple[_Slab, NDArray[np.uint8]] | None:
        self._collect()
        for slab in self._slabs[size]:
            if slab.idle:
                return slab, slab.idle.pop()
        n_buffers = min(_slab_buffers(size), self._max_bytes // (_SLABS * size) or 1)
        while self._held_bytes + size * n_buffers > self._max_bytes and self._drop_one():
            pass
        if self._held_bytes + size * n_buffers > self._max_bytes:
            self._unpooled += 1
            return None
        slab = _Slab(size, n_buffers)
        self._held_bytes += slab.n_bytes
        self._slabs[size].append(slab)
        return slab, slab.idle.pop()

    def _collect(self) -> None:
        while self._returned:
            slab, buffer = self._returned.popleft()
            slab.idle.append(buffer)

    def _drop_one(self) -> bool:
        """Give up an unused slab, of the largest buffers first; return whether there was one."""
        for size in sorted(self._slabs, reverse=True):
            for slab in self._slabs[size]:
                if slab.unused:
                    self._slabs[size].remove(slab)
                    self._held_bytes -= slab.n_bytes
                    return True
        return False


def _slab_buffers(size: int) -> int:
    """Return how many buffers are cut from one slab: enough of the larger for huge pages."""
    if size >= _HUGE_PAGE:
        return 1
    return _SMALL_BUFFERS if size < _HUGE_FROM else max(_SMALL_BUFFERS, _HUGE_PAGE // size)


def size_class(n_bytes: int) -> int:
    """Return the next size in bytes that the pool keeps."""
    pages = max(1, -(-n_bytes // PAGE_BYTES))
    step = 1 << max(0, pages.bit_length() - _STEPS.bit_length())
    return -(-pages // step) * step * PAGE_BYTES
