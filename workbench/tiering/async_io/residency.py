"""Ask the kernel how much of a file is in memory, and put it there or take it away.

Follows: mincore(2) on a mapping of the file; posix_fadvise(2) DONTNEED on clean pages.
Leaves out: caches below the file system (a host's, a drive's own); nothing here can see those.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import StorageError

_WARM_BYTES = 1 << 20
# Pages still queued on another CPU survive the first advice; the second one finds them.
_DROP_ATTEMPTS = 3


def resident_frac(fd: int) -> float:
    """Return the fraction (0..1) of a file's pages that are in the page cache now.

    Parameters
    ----------
    fd : int   open for reading. Linux tells the truth to the file's owner only: for anybody else
               it answers that every page is resident

    Raises
    ------
    StorageError   if the file is empty or mincore fails

    Cost    one mapping and about 20 ns a page; touches no page.
    """
    n_bytes = os.fstat(fd).st_size
    if n_bytes == 0:
        raise StorageError("an empty file has no pages to be resident; write to it first")
    with mmap.mmap(fd, n_bytes, prot=mmap.PROT_READ) as mapping:
        pages = np.frombuffer(mapping, dtype=np.uint8)
        try:
            return float(np.mean(resident_pages(pages.ctypes.data, n_bytes)))
        finally:
            # The mapping cannot be closed while an array looks into it.
            del pages


def resident_pages(address: int, n_bytes: int) -> NDArray[np.bool_]:
    """Return which pages of mapped memory are in memory now, bool[n_pages].

    Parameters
    ----------
    address : int   of a page's first byte, in a mapping; of a file's, what `resident_frac` says
                    about its owner holds
    n_bytes : int   the last page may be a part of one

    Raises
    ------
    StorageError   if mincore fails: nothing is mapped there, or it is no page's first byte
    """
    answers = np.zeros(-(-n_bytes // mmap.PAGESIZE), dtype=np.uint8)
    failed = _libc().mincore(
        ctypes.c_void_p(address), ctypes.c_size_t(n_bytes), ctypes.c_void_p(answers.ctypes.data)
    )
    if failed:
        reason = os.strerror(ctypes.get_errno())
        raise StorageError(f"mincore over {n_bytes} bytes failed: {reason}")
    # The other bits are reserved.
    resident: NDArray[np.bool_] = (answers & 1).astype(np.bool_)
    return resident


def drop_cache(fd: int) -> float:
    """Write a file's dirty pages out, ask the kernel to forget them all, return what it kept.

    Returns
    -------
    fraction of the file still resident: 0.0 when the cache is cold. Memory file systems keep all
    of it; so do systems without posix_fadvise (macOS), where this only flushes
    """
    # Dirty pages are not dropped, so they are written first.
    os.fsync(fd)
    left = resident_frac(fd)
    for _ in range(_DROP_ATTEMPTS if hasattr(os, "posix_fadvise") else 0):
        if left == 0:
            break
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        left = resident_frac(fd)
    return left


def warm(fd: int) -> float:
    """Read a file through the page cache once and return the fraction that is resident after.

    Parameters
    ----------
    fd : int   opened without O_DIRECT
    """
    scratch = aligned_buffer(_WARM_BYTES)
    offset = 0
    while moved := os.preadv(fd, [scratch], offset):
        offset += moved
    return resident_frac(fd)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
