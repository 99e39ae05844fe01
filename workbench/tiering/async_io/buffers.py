"""Hand out page-aligned memory that is already backed, as direct I/O and honest timing demand.

Follows: O_DIRECT's rule that memory, offset and length are aligned; transparent huge pages, whose
memory is contiguous for the device too.
Leaves out: buffers registered with a ring.
"""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from workbench.tiering.async_io.engine import StorageError

HUGE_PAGE_BYTES = 2 << 20

_HUGE_PAGE_SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def aligned_buffer(n_bytes: int) -> memoryview:
    """Return writable uint8[n_bytes] of zeros that starts on a page and is in memory already.

    Ordinary pages of 4 KiB, wherever the kernel finds them: how many pieces a block is in for the
    device differs from buffer to buffer, and on a virtual disk each piece costs about 3 us.

    Raises
    ------
    StorageError   if ``n_bytes`` is not positive

    Cost    touches every page once: first touch runs at 2-6 GB/s, and far slower where a
            virtual machine's host has to find the memory first, so it never belongs in a timing.
    """
    buffer = memoryview(_anonymous(n_bytes))
    np.frombuffer(buffer, dtype=np.uint8)[:: mmap.PAGESIZE] = 0
    return buffer


def huge_buffer(n_bytes: int) -> memoryview:
    """Return the same as `aligned_buffer` in huge pages: 2 MiB of it are one piece to the device.

    Where the system has none to give (see `huge_pages`) these are ordinary pages.

    Raises
    ------
    StorageError   if ``n_bytes`` is not positive

    Cost    up to 4 MiB of address space beside it; otherwise as `aligned_buffer`.
    """
    if n_bytes < 1:
        raise StorageError(f"a buffer of {n_bytes} bytes cannot be had; ask for at least 1")
    whole_bytes = -(-n_bytes // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
    mapping = _anonymous(whole_bytes + HUGE_PAGE_BYTES)
    if huge_pages():
        mapping.madvise(mmap.MADV_HUGEPAGE)
    address = np.frombuffer(mapping, dtype=np.uint8).ctypes.data
    first = -address % HUGE_PAGE_BYTES
    buffer = memoryview(mapping)[first : first + whole_bytes]
    np.frombuffer(buffer, dtype=np.uint8)[:: mmap.PAGESIZE] = 0
    return buffer[:n_bytes]


def huge_pages() -> bool:
    """Return whether the system gives huge pages to those who ask (Linux, not set to never)."""
    return _HUGE_PAGE_SWITCH.exists() and "[never]" not in _HUGE_PAGE_SWITCH.read_text()


def _anonymous(n_bytes: int) -> mmap.mmap:
    if n_bytes < 1:
        raise StorageError(f"a buffer of {n_bytes} bytes cannot be had; ask for at least 1")
    # Private: Python's default is shared memory, slower to back and never in huge pages.
    return mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def fill_random(buffer: memoryview, rng: np.random.Generator) -> None:
    """Overwrite a buffer with random bytes that no device can compress or deduplicate.

    Cost    about 1 s per GiB.
    """
    words = rng.integers(0, 1 << 64, size=-(-len(buffer) // 8), dtype=np.uint64)
    np.frombuffer(buffer, dtype=np.uint8)[:] = words.view(np.uint8)[: len(buffer)]


def split(buffer: memoryview, block_bytes: int) -> list[memoryview]:
    """Return the buffer's whole blocks as views; a remainder smaller than a block is left out."""
    n_blocks = len(buffer) // block_bytes
    return [buffer[i * block_bytes : (i + 1) * block_bytes] for i in range(n_blocks)]
