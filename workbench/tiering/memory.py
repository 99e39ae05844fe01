"""Hand out memory that is ready to use: page-aligned, touched, huge pages where they are granted.

Follows: first touch costs 3 to 13 times a copy, so pools are touched before anything is timed.
Leaves out: growing, and sharing between processes.
"""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.phases import Phase

MIB = 1 << 20
HUGE_PAGE_BYTES = 2 * MIB
# The rest is left to the page cache and to everybody else: a swapping machine measures its swap.
_USABLE_FRAC = 0.8
_THP_SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_ALLOCATION = Phase("allocation")


def require_memory(need_bytes: int, purpose: str, fix: str) -> None:
    """Refuse what would not fit into the memory that is available now.

    Parameters
    ----------
    need_bytes : int   about to be allocated
    purpose : str      what for, e.g. ``"the hot tier of 1024 tokens"``
    fix : str          what to change, e.g. ``"lower hot_tokens"``

    Raises
    ------
    UsageError   if more than 80 % of the available memory would be taken
    """
    available = psutil.virtual_memory().available
    usable = int(available * _USABLE_FRAC)
    if need_bytes > usable:
        raise UsageError(
            f"{purpose} needs {need_bytes / MIB:,.0f} MiB, but only {usable / MIB:,.0f} MiB may be "
            f"taken ({_USABLE_FRAC:.0%} of the {available / MIB:,.0f} MiB available); {fix}"
        )


@_ALLOCATION.timed
def allocate(n_bytes: int) -> NDArray[np.uint8]:
    """Return zeroed, writable uint8[n_bytes], every page touched; freed with its last view.

    Aligned to 2 MiB from that size on and advised as huge pages (Linux), else aligned to a page.

    Cost    about 0.2 s a GiB with huge pages, 0.5 s without.
    """
    memory = reserve(n_bytes)
    memory[:: mmap.PAGESIZE] = 0
    return memory


def reserve(n_bytes: int) -> NDArray[np.uint8]:
    """Return memory as `allocate` does, but no page is touched: each is taken at its first use."""
    if n_bytes == 0:
        return np.empty(0, np.uint8)
    align = HUGE_PAGE_BYTES if n_bytes >= HUGE_PAGE_BYTES else mmap.PAGESIZE
    # Python maps shared memory unless told otherwise, and shared memory gets no huge pages.
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    region = mmap.mmap(-1, n_bytes + align - mmap.PAGESIZE, flags=private)
    if align == HUGE_PAGE_BYTES and huge_pages_granted():
        region.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(region, np.uint8)
    start = -whole.ctypes.data % align
    return whole[start : start + n_bytes]


def give_back(memory: NDArray[np.uint8]) -> None:
    """Let the system have the pages of a part of `reserve`'s memory; they are zeros at next use.

    Parts of pages stay, and so may up to 2 MiB at either end where huge pages were granted. Systems
    without MADV_DONTNEED keep all of it.
    """
    owner: object = memory
    while isinstance(owner, np.ndarray):
        owner = owner.base
    region = owner.obj if isinstance(owner, memoryview) else owner
    if not isinstance(region, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    begin = np.frombuffer(region, np.uint8).ctypes.data
    first = -(-(memory.ctypes.data - begin) // mmap.PAGESIZE) * mmap.PAGESIZE
    stop = (memory.ctypes.data + memory.nbytes - begin) // mmap.PAGESIZE * mmap.PAGESIZE
    if stop > first:
        region.madvise(mmap.MADV_DONTNEED, first, stop - first)


def huge_pages_granted() -> bool:
    """Tell whether this system gives huge pages to those who ask; always False off Linux."""
    if not hasattr(mmap, "MADV_HUGEPAGE") or not _THP_SWITCH.exists():
        return False
    return "[never]" not in _THP_SWITCH.read_text()
