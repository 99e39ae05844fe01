"""Interleave eight rows of packed weights, so that a vector holds the same columns of all of them.

Follows: llama.cpp's repacked rows; done once, when a model is loaded.
Leaves out: what the parts of a block mean (workbench/inference/weight_layouts.py).

A block is a row of uint16 words. Word w of row r of a group goes to ``bases[w] + r * steps[w]`` of
the group's block: steps of 1 put the rows' float16 side by side, steps of 2 their four bytes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.record import Kernel, exact, register
from kernels.vectors import LANES


def reference(rows: np.ndarray, bases: np.ndarray, steps: np.ndarray, packed: np.ndarray) -> None:
    """Write rows in groups of eight; places of rows that do not exist stay as they are.

    Parameters
    ----------
    rows : uint16[n_rows, n_blocks, n_words]           read
    bases, steps : int64[n_words]                      read
    packed : uint16[n_groups, n_blocks, 8 * n_words]   written; n_groups = ceil(n_rows / 8)
    """
    n_rows, n_blocks, n_words = rows.shape
    for row in range(n_rows):
        group, lane = divmod(row, LANES)
        for block in range(n_blocks):
            for word in range(n_words):
                packed[group, block, bases[word] + lane * steps[word]] = rows[row, block, word]


def numpy(rows, bases, steps, packed):
    """Scatter all groups' rows of one lane at once."""
    for lane in range(LANES):
        of_lane = rows[lane::LANES]
        packed[: len(of_lane), :, bases + lane * steps] = of_lane


@njit(cache=True, nogil=True)
def _words(rows, bases, steps, packed):
    n_rows, n_blocks, n_words = rows.shape
    for start in range(0, n_rows, LANES):
        group = start // LANES
        for block in range(n_blocks):
            for lane in range(min(LANES, n_rows - start)):
                for word in range(n_words):
                    place = bases[word] + lane * steps[word]
                    packed[group, block, place] = rows[start + lane, block, word]


def interleave(rows: np.ndarray, bases: np.ndarray, steps: np.ndarray, packed: np.ndarray) -> None:
    """Move word by word, group by group, compiled."""
    n_rows, n_blocks, n_words = rows.shape
    shape = (-(-n_rows // LANES), n_blocks, LANES * n_words)
    for name, array, dtype, expected in (
        ("rows", rows, np.uint16, rows.shape),
        ("bases", bases, np.int64, (n_words,)),
        ("steps", steps, np.int64, (n_words,)),
        ("packed", packed, np.uint16, shape),
    ):
        if array.dtype != dtype or array.shape != expected or not array.flags.c_contiguous:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}, contiguous: "
                f"{array.flags.c_contiguous}; pass {np.dtype(dtype)}{list(expected)}"
            )
    top = bases + (LANES - 1) * steps
    if n_words and not (bases.min() >= 0 and steps.min() >= 0 and top.max() < LANES * n_words):
        raise ValueError(f"words would land at {bases.min()}..{top.max()} of {LANES * n_words}")
    _words(rows, bases, steps, packed)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
    """Return ``size`` rows of 3 blocks of a float16 and two pairs of words, and where they go."""
    rows = rng.integers(0, 1 << 16, (size, 3, 5), dtype=np.uint16)
    bases, steps = np.array([0, 8, 9, 24, 25]), np.array([1, 2, 2, 2, 2])
    return rows, bases, steps, np.zeros((-(-size // LANES), 3, 5 * LANES), np.uint16)


def bytes_moved(rows, bases, steps, packed) -> int:
    """Return the bytes read plus written."""
    return 2 * rows.nbytes


KERNEL = register(
    Kernel(
        name="interleave",
        reference=reference,
        baseline="numpy",
        variants={"numpy": numpy, "njit_words": interleave},
        make_inputs=make_inputs,
        outputs=(3,),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 7, 8, 9, 40),
    )
)
