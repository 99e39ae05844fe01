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
    answers = np.zeros(-(-n_bytes // mmap.PAGESIZE), dtype=np.uint8)
    with mmap.mmap(fd, n_bytes, prot=mmap.PROT_READ) as mapping:
        pages = np.frombuffer(mapping, dtype=np.uint8)
        failed = _libc().mincore(
            ctypes.c_void_p(pages.ctypes.data),
            ctypes.c_size_t(n_bytes),
            ctypes.c_void_p(answers.ctypes.data),
        )
        reason = os.strerror(ctypes.get_errno()) if failed else ""
        # The mapping cannot be closed while an array looks into it.
        del pages
    if failed:
        raise StorageError(f"mincore over {n_bytes} bytes failed: {reason}")
    return float(np.mean(answers & 1))


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
