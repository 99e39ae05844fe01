"""Copy a small source over and over into a large destination: what storing fresh data can reach.

A token's K and V are still in the cache when they are stored, so their copy need not read memory;
this family measures that ceiling without a Python call per token.
Follows: copy.py, whose loops it runs. Leaves out: threads, and sources that are not in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
from numba import njit

from kernels import copy
from kernels.record import Kernel, exact, register

Tile = Callable[[np.ndarray, np.ndarray], None]


def checked(tile: Tile) -> Tile:
    """Return a tiling copy that refuses what its loop cannot do."""

    @wraps(tile)
    def run(destination: np.ndarray, source: np.ndarray) -> None:
        copy.check_bytes("destination", destination)
        copy.check_bytes("source", source)
        if source.size == 0 or destination.size % source.size:
            raise ValueError(
                f"destination has {destination.size} bytes, no multiple of the source's "
                f"{source.size}; cut it to whole copies"
            )
        if np.may_share_memory(destination, source):
            raise ValueError("destination and source overlap; copy through a third array")
        tile(destination, source)

    return run


def reference(destination: np.ndarray, source: np.ndarray) -> None:
    """Repeat the source over the destination.

    Parameters
    ----------
    destination : uint8[n_copies * n_bytes]   written
    source : uint8[n_bytes]                   read; small enough for the cache to be worth it
    """
    for index in range(len(destination)):
        destination[index] = source[index % len(source)]


def numpy(destination: np.ndarray, source: np.ndarray) -> None:
    """Assign copy by copy with NumPy."""
    for start in range(0, destination.size, source.size):
        destination[start : start + source.size] = source


@njit(cache=True, nogil=True)
def vector(destination, source):
    """Repeat with ordinary 64-byte stores."""
    for start in range(0, destination.size, source.size):
        copy.vector(destination[start : start + source.size], source)


@njit(cache=True, nogil=True)
def nontemporal(destination, source):
    """Repeat with non-temporal 64-byte stores."""
    for start in range(0, destination.size, source.size):
        copy.nontemporal(destination[start : start + source.size], source)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a zeroed destination for ``size`` copies, and a random source of 193 bytes."""
    source = rng.integers(0, 256, 193, dtype=np.uint8)
    return np.zeros(size * source.size, np.uint8), source


def bytes_moved(destination: np.ndarray, source: np.ndarray) -> int:
    """Return the bytes read plus written; reads are served by the cache after the first copy."""
    return 2 * destination.nbytes


KERNEL = register(
    Kernel(
        name="tile",
        reference=reference,
        baseline="numpy",
        variants={
            "numpy": checked(numpy),
            "njit_vector": checked(vector),
            "njit_nontemporal": checked(nontemporal),
        },
        make_inputs=make_inputs,
        outputs=(0,),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 7, 64, 65),
    )
)
