"""Reserve addresses for memory whose parts are taken and given back one by one.

Follows: mmap(2) and madvise(2): a page that nobody touched takes nothing; huge pages are asked for
only where all of one is held, so that no neighbour comes along.
Leaves out: memory that is held as a whole (memory.py).
"""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.memory import HUGE_PAGE_BYTES, huge_pages_granted


class ReservedMemory:
    """Addresses of ``n_bytes``, none of which takes memory before it is written.

    Attributes
    ----------
    whole : uint8[n_bytes]   begins at a huge page; zeros wherever nothing was written
    """

    def __init__(self, n_bytes: int) -> None:
        """Reserve; costs a system call."""
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._region = mmap.mmap(-1, max(n_bytes, 1) + HUGE_PAGE_BYTES, flags=private)
        everything = np.frombuffer(self._region, np.uint8)
        self._start = -everything.ctypes.data % HUGE_PAGE_BYTES
        self.whole: NDArray[np.uint8] = everything[self._start : self._start + n_bytes]

    def hold(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return the bytes ``start..stop``, about to be written; huge pages where they are granted.

        Parameters
        ----------
        start, stop : int   multiples of a page, but for the memory's end
        """
        if stop - start >= HUGE_PAGE_BYTES and huge_pages_granted():
            self._advise(mmap.MADV_HUGEPAGE, start, stop)
        return self.whole[start:stop]

    def drop(self, start: int, stop: int) -> None:
        """Give the bytes ``start..stop`` back; they read as zeros on Linux, elsewhere as anything.

        Cost    some 50 us a MiB.
        """
        if huge_pages_granted():
            # Or the kernel would make whole huge pages of what is left, and take the memory again.
            self._advise(mmap.MADV_NOHUGEPAGE, start, stop)
        self._advise(getattr(mmap, "MADV_FREE_REUSABLE", mmap.MADV_DONTNEED), start, stop)

    def _advise(self, advice: int, start: int, stop: int) -> None:
        page = mmap.PAGESIZE
        length = -(-(stop - start) // page) * page
        if length:
            self._region.madvise(advice, self._start + start, length)
