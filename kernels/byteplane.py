"""Split float16 values into a plane of upper bytes and one of lower bytes, and join them again.

Follows: the byte shuffle of Blosc and HDF5, and zkv's planes. A value's upper byte is sign,
exponent and two bits of the fraction: what is left to compress. Its lower byte is noise. Upper
bytes can be taken from those of the token before, where neighbours share sign and exponent.
Leaves out: the entropy coder (workbench/tiering/compression/lossless.py).
"""

from __future__ import annotations

from functools import wraps

import numpy as np
from numba import njit

from kernels.array_check import expect
from kernels.record import Kernel, exact, register

_TOY_CHANNELS = (1, 6, 64, 33)  # chosen by size in turn


def reference(upper, lower, source):
    """Split tokens into two planes.

    Parameters
    ----------
    upper, lower : uint8[n_tokens, n_channels]   written
    source : uint16[n_tokens, n_channels]        float16 bits
    """
    for token in range(len(source)):
        for channel in range(source.shape[1]):
            bits = int(source[token, channel])
            upper[token, channel], lower[token, channel] = bits >> 8, bits & 0xFF


def numpy(upper, lower, source):
    """Split all values at once with NumPy."""
    upper[:] = source >> 8
    lower[:] = source & 0xFF


@njit(cache=True, nogil=True)
def njit_rows(upper, lower, source):
    """Split token by token in plain loops, which LLVM vectorises."""
    for token in range(source.shape[0]):
        for channel in range(source.shape[1]):
            bits = source[token, channel]
            upper[token, channel] = np.uint8(bits >> np.uint16(8))
            lower[token, channel] = np.uint8(bits & np.uint16(0xFF))


def join_reference(joined, upper, lower):
    """Join two planes.

    Parameters
    ----------
    joined : uint16[n_tokens, n_channels]        written, float16 bits
    upper, lower : uint8[n_tokens, n_channels]
    """
    for token in range(len(joined)):
        for channel in range(joined.shape[1]):
            joined[token, channel] = int(upper[token, channel]) << 8 | int(lower[token, channel])


def join_numpy(joined, upper, lower):
    """Join all values at once with NumPy."""
    joined[:] = upper.astype(np.uint16) << 8 | lower


@njit(cache=True, nogil=True)
def join_njit(joined, upper, lower):
    """Join token by token in plain loops, which LLVM vectorises."""
    for token in range(joined.shape[0]):
        for channel in range(joined.shape[1]):
            high = np.uint16(np.uint16(upper[token, channel]) << np.uint16(8))
            joined[token, channel] = high | np.uint16(lower[token, channel])


def checked(kernel, at):
    """Return a kernel that refuses mismatched arrays; the values are argument number ``at``."""

    @wraps(kernel)
    def run(*arrays):
        values = arrays[at]
        if values.ndim != 2 or values.dtype != np.uint16:
            raise ValueError(
                f"values are {values.dtype}{list(values.shape)}; pass the bits of float16, uint16 "
                "[n_tokens, n_channels]"
            )
        expect("values", values, values.shape, values.dtype)
        planes = [array for number, array in enumerate(arrays) if number != at]
        for name, plane in zip(("upper", "lower"), planes, strict=True):
            expect(name, plane, values.shape, np.dtype(np.uint8))
        kernel(*arrays)

    return run


def make_inputs(rng, size):
    """Return zeroed planes and ``size`` tokens of random float16 bits."""
    shape = (size, _TOY_CHANNELS[size % len(_TOY_CHANNELS)])
    source = rng.integers(0, 1 << 16, shape).astype(np.uint16)
    return np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), source


def make_planes(rng, size):
    """Return zeroed values and the planes of random ones."""
    upper, lower, source = make_inputs(rng, size)
    numpy(upper, lower, source)
    return np.zeros_like(source), upper, lower


def bytes_moved(*arrays) -> int:
    """Return the bytes read plus written."""
    return sum(array.nbytes for array in arrays)


SPLIT = register(
    Kernel(
        name="byteplane_split",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(numpy, 2), "njit": checked(njit_rows, 2)},
        make_inputs=make_inputs,
        outputs=(0, 1),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 7, 64, 65),
    )
)
JOIN = register(
    Kernel(
        name="byteplane_join",
        reference=join_reference,
        baseline="numpy",
        variants={"numpy": checked(join_numpy, 0), "njit": checked(join_njit, 0)},
        make_inputs=make_planes,
        outputs=(0,),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 7, 64, 65),
    )
)
