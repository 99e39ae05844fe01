"""Hand out page-aligned memory that is already backed, as direct I/O and honest timing demand.

Follows: O_DIRECT's rule that memory, offset and length are aligned; transparent huge pages, whose
memory is contiguous for the device too.
Leaves out: buffers registered with a ring.
"""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.memory import HUGE_PAGE_BYTES, allocate

_first_byte = ctypes.c_char.from_buffer


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
    _check(n_bytes)
    # Private: Python's default is shared memory, which is slower to back.
    buffer = memoryview(mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    np.frombuffer(buffer, dtype=np.uint8)[:: mmap.PAGESIZE] = 0
    return buffer


def huge_buffer(n_bytes: int) -> memoryview:
    """Return the same as `aligned_buffer` in huge pages: 2 MiB of it are one piece to the device.

    Where the system has none to give (see `memory.huge_pages_granted`) these are ordinary pages.

    Raises
    ------
    StorageError   if ``n_bytes`` is not positive

    Cost    up to 4 MiB of address space beside it; otherwise as `aligned_buffer`.
    """
    _check(n_bytes)
    # Whole huge pages, so that two buffers never share one.
    return allocate(-(-n_bytes // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES).data[:n_bytes]


def _check(n_bytes: int) -> None:
    if n_bytes < 1:
        raise StorageError(f"a buffer of {n_bytes} bytes cannot be had; ask for at least 1")


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


def address(buffer: memoryview) -> int:
    """Return where a buffer lies in memory; 0 for an empty one.

    Cost    0.4 us for a writable buffer, 2 us for a read-only one.
    """
    try:
        return ctypes.addressof(_first_byte(buffer))
    except (TypeError, ValueError):
        # Read-only or empty: ctypes refuses both.
        return int(np.frombuffer(buffer, dtype=np.uint8).ctypes.data) if buffer.nbytes else 0
