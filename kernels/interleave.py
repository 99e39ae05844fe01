"""Interleave eight rows of packed weights, so that a vector holds the same columns of all of them.

Follows: llama.cpp's repacked rows; done once, when a model is loaded.
Leaves out: what the parts of a block mean (workbench/inference/weight_layouts.py).

A block is a row of uint16 words. Word w of row r of a group goes to ``bases[w] + r * steps[w]`` of
the group's block: steps of 1 put the rows' float16 side by side; steps of 2 their four bytes, so
words with that step come in pairs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types

from kernels.record import Kernel, exact, register
from kernels.simd import _pointer, _with_twin
from kernels.vectors import LANES

_PAIR = 2


def reference(rows: np.ndarray, bases: np.ndarray, steps: np.ndarray, packed: np.ndarray) -> None:
    """Write rows in groups of eight; places of rows that do not exist stay as they are.

    Parameters
    ----------
    rows : uint16[n_rows, n_blocks, n_words]           read
    bases, steps : int64[n_words]                      read; steps 1 or 2
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


def _move(bits: int) -> tuple[Any, Callable[..., ir.Value]]:
    """Return the code that copies a few bits from one address to another, any alignment."""
    word = ir.IntType(bits)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        to, source = (_pointer(builder, address, word) for address in arguments)
        builder.store(builder.load(source, align=1), to, align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@_with_twin(lambda to, source: ctypes.memmove(int(to), int(source), 2))
def _move_one(typing_context, to, source):
    """Copy a word."""
    return _move(16)


@_with_twin(lambda to, source: ctypes.memmove(int(to), int(source), 4))
def _move_two(typing_context, to, source):
    """Copy two words."""
    return _move(32)


@njit(cache=True, nogil=True)
def _words(rows, singles, pairs, bases, packed):
    # By addresses: indices, which might be negative, take four times as long.
    n_rows, n_blocks, n_words = rows.shape
    row_bytes = 2 * n_blocks * n_words
    for row in range(0, n_rows, LANES):
        lanes = min(LANES, n_rows - row)
        source = rows.ctypes.data + row * row_bytes
        to = packed.ctypes.data + row * row_bytes
        for _ in range(n_blocks):
            for word in singles:
                place, word_at = to + 2 * bases[word], source + 2 * word
                for lane in range(lanes):
                    _move_one(place + 2 * lane, word_at + lane * row_bytes)
            for word in pairs:
                place, word_at = to + 2 * bases[word], source + 2 * word
                for lane in range(lanes):
                    _move_two(place + 4 * lane, word_at + lane * row_bytes)
            source += 2 * n_words
            to += 2 * LANES * n_words


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
    pairs = np.flatnonzero(steps == _PAIR)
    together = bases[pairs[1::2]] - bases[pairs[: len(pairs) // 2 * 2 : 2]]
    if len(pairs) % 2 or not (together == 1).all() or not np.isin(steps, (1, _PAIR)).all():
        raise ValueError(f"steps {steps} must be 1, or 2 for pairs of words that stay together")
    top = bases + (LANES - 1) * steps
    if n_words and not (bases.min() >= 0 and top.max() < LANES * n_words):
        raise ValueError(f"words would land at {bases.min()}..{top.max()} of {LANES * n_words}")
    _words(rows, np.flatnonzero(steps == 1), pairs[::2], bases, packed)


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
