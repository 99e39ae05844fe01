"""Read memory as fast as it goes and reduce it to one word, so that no read can be left out.

Follows: the read test of STREAM-like benchmarks; exclusive or, because its order does not matter.
Leaves out: threads; what lies beyond the last whole uint64 word.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
from numba import njit

from kernels.record import Kernel, exact, register
from kernels.simd import CHUNK_BYTES, address_of, xor_chunk

Read = Callable[[np.ndarray, np.ndarray], None]

_CHUNK_WORDS = CHUNK_BYTES // 8


def checked(read: Read) -> Read:
    """Return a reader that refuses arrays its loop would misread."""

    @wraps(read)
    def run(source: np.ndarray, result: np.ndarray) -> None:
        for name, array in (("source", source), ("result", result)):
            flags = array.flags
            if array.dtype != np.uint64 or array.ndim != 1 or not flags.c_contiguous:
                raise ValueError(
                    f"{name} is {array.dtype}{list(array.shape)}, contiguous: "
                    f"{flags.c_contiguous}; pass contiguous words, e.g. array.view(np.uint64)"
                )
        if result.size != 1:
            raise ValueError(f"result has {result.size} words; pass exactly 1")
        read(source, result)

    return run


def reference(source: np.ndarray, result: np.ndarray) -> None:
    """Write the exclusive or of all words.

    Parameters
    ----------
    source : uint64[n_words]   read
    result : uint64[1]         written; 0 for an empty source
    """
    folded = 0
    for word in source:
        folded ^= int(word)
    result[0] = folded


def numpy(source: np.ndarray, result: np.ndarray) -> None:
    """Reduce with NumPy's ufunc."""
    result[0] = np.bitwise_xor.reduce(source)


@njit(cache=True, nogil=True)
def elements(source, result):
    """Reduce in a plain loop; LLVM vectorises it."""
    folded = np.uint64(0)
    for word in source:
        folded ^= word
    result[0] = folded


@njit(cache=True, nogil=True)
def vector(source, result):
    """Reduce 1,024 bytes at a time in four independent chains of 64-byte vectors."""
    start = address_of(source)
    whole = source.size - source.size % _CHUNK_WORDS
    folded = np.uint64(0)
    for offset in range(0, whole * 8, CHUNK_BYTES):
        folded ^= xor_chunk(start + offset)
    for index in range(whole, source.size):
        folded ^= source[index]
    result[0] = folded


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (random words uint64[size], result uint64[1])."""
    return rng.integers(0, 2**64, size, dtype=np.uint64), np.zeros(1, np.uint64)


def bytes_moved(source: np.ndarray, result: np.ndarray) -> int:
    """Return the bytes read; the one word written does not count."""
    return source.nbytes


KERNEL = register(
    Kernel(
        name="read",
        reference=reference,
        baseline="numpy",
        variants={
            "numpy": checked(numpy),
            "njit": checked(elements),
            "njit_vector": checked(vector),
        },
        make_inputs=make_inputs,
        outputs=(1,),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 7, 127, 128, 129, 1023, 20_011),
    )
)
