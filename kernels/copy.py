"""Copy contiguous bytes from memory to memory: the ceiling of everything that moves KV.

Follows: non-temporal copies as in Intel's optimisation manual, chapter on cacheability control.
Leaves out: threads (the caller gives each its share) and overlapping ranges (refused).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
from numba import njit

from kernels.record import Kernel, exact, register
from kernels.simd import (
    LINE_BYTES,
    STRIDE_BYTES,
    address_of,
    copy_byte,
    copy_four_lines_nontemporal,
    copy_line,
    copy_line_nontemporal,
    store_fence,
)

Copy = Callable[[np.ndarray, np.ndarray], None]

_GROUP_BYTES = 4 * STRIDE_BYTES  # the pages that `nontemporal_pages` writes side by side


def check_bytes(name: str, array: np.ndarray) -> None:
    """Raise ValueError unless an array is uint8[n] and C-contiguous."""
    if array.dtype != np.uint8 or array.ndim != 1 or not array.flags.c_contiguous:
        raise ValueError(
            f"{name} is {array.dtype}{list(array.shape)}, contiguous: "
            f"{array.flags.c_contiguous}; pass contiguous bytes, e.g. array.view(np.uint8).ravel()"
        )


def checked(copy: Copy) -> Copy:
    """Return a copy that refuses what its loop cannot do; costs about a microsecond a call."""

    @wraps(copy)
    def run(destination: np.ndarray, source: np.ndarray) -> None:
        check_bytes("destination", destination)
        check_bytes("source", source)
        if destination.size != source.size:
            raise ValueError(f"destination has {destination.size} bytes, source {source.size}")
        if np.may_share_memory(destination, source):
            raise ValueError("destination and source overlap; copy through a third array")
        copy(destination, source)

    return run


def reference(destination: np.ndarray, source: np.ndarray) -> None:
    """Write the source's bytes to the destination.

    Parameters
    ----------
    destination : uint8[n_bytes]   written; must not overlap the source
    source : uint8[n_bytes]        read
    """
    for index in range(len(source)):
        destination[index] = source[index]


def numpy(destination: np.ndarray, source: np.ndarray) -> None:
    """Copy with NumPy's own assignment, which ends in the C library's memmove."""
    destination[:] = source


@njit(cache=True, nogil=True)
def elements(destination, source):
    """Copy in a plain loop; LLVM vectorises it with ordinary stores."""
    for index in range(destination.size):
        destination[index] = source[index]


@njit(cache=True, nogil=True)
def vector_at(to, start, n_bytes):
    """Copy between two addresses with ordinary 64-byte stores; the last may overlap the one before.

    Kernels that copy many short runs call it: slicing arrays costs them 0.2 us a run.
    """
    if n_bytes < LINE_BYTES:
        for offset in range(n_bytes):
            copy_byte(to + offset, start + offset)
        return
    whole = n_bytes - n_bytes % LINE_BYTES
    for offset in range(0, whole, LINE_BYTES):
        copy_line(to + offset, start + offset)
    if whole < n_bytes:
        copy_line(to + n_bytes - LINE_BYTES, start + n_bytes - LINE_BYTES)


@njit(cache=True, nogil=True)
def nontemporal_at(to, start, n_bytes):
    """Copy between two addresses past the cache; the unaligned ends go through it.

    The caller fences, once for any number of runs.
    """
    head = -to % LINE_BYTES
    body = head + (n_bytes - head) // LINE_BYTES * LINE_BYTES
    if body <= head:
        vector_at(to, start, n_bytes)
        return
    if head:
        vector_at(to, start, head)
    for offset in range(head, body, LINE_BYTES):
        copy_line_nontemporal(to + offset, start + offset)
    if body < n_bytes:
        vector_at(to + body, start + body, n_bytes - body)


@njit(cache=True, nogil=True)
def vector(destination, source):
    """Copy cache line by cache line with ordinary stores."""
    vector_at(address_of(destination), address_of(source), destination.size)


@njit(cache=True, nogil=True)
def nontemporal(destination, source):
    """Copy cache line by cache line past the cache; the unaligned ends go through it."""
    nontemporal_at(address_of(destination), address_of(source), destination.size)
    store_fence()


@njit(cache=True, nogil=True)
def nontemporal_pages(destination, source):
    """Copy four pages side by side past the cache: more read streams, more fetches in flight."""
    to, start = address_of(destination), address_of(source)
    head = min(-to % LINE_BYTES, destination.size)
    body = head + (destination.size - head) // _GROUP_BYTES * _GROUP_BYTES
    for index in range(head):
        destination[index] = source[index]
    for group in range(head, body, _GROUP_BYTES):
        for offset in range(group, group + STRIDE_BYTES, LINE_BYTES):
            copy_four_lines_nontemporal(to + offset, start + offset)
    nontemporal(destination[body:], source[body:])


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (destination of zeros, random source), uint8[size] each."""
    return np.zeros(size, np.uint8), rng.integers(0, 256, size, dtype=np.uint8)


def bytes_moved(destination: np.ndarray, source: np.ndarray) -> int:
    """Return the bytes read plus written."""
    return destination.nbytes + source.nbytes


KERNEL = register(
    Kernel(
        name="copy",
        reference=reference,
        baseline="numpy",
        variants={
            "numpy": checked(numpy),
            "njit": checked(elements),
            "njit_vector": checked(vector),
            "njit_nontemporal": checked(nontemporal),
            "njit_nontemporal_pages": checked(nontemporal_pages),
        },
        make_inputs=make_inputs,
        outputs=(0,),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 63, 64, 65, 127, 4095, 4097, 16383, 16384, 16447, 16449, 81_923),
    )
)
