"""Interleave eight rows of packed weights, so that a vector holds the same columns of all of them.

Follows: llama.cpp's repacked rows; done once, when a model is loaded.
Leaves out: what the parts of a block mean (workbench/inference/weight_layouts.py).

A block is a row of uint16 words. Word w of row r of a group goes to ``bases[w] + r * steps[w]`` of
the group's block: steps of 1 put the rows' float16 side by side; steps of 2 their four bytes, so
words with that step come in pairs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numpy.typing import NDArray

from kernels.record import Kernel, exact, register
from kernels.simd import _pointer, _with_twin
from kernels.vectors import LANES

_PAIR = 2
_QUAD = 4  # pairs in a row's 16 bytes
# A job: two addresses, the rows' shape, how many moves of each kind; then the moves themselves, of
# single words, of pairs, of four pairs: which word, and where its first row's goes.
SOURCE, TO, N_ROWS, _N_BLOCKS, _N_WORDS, _N_SINGLES, _N_PAIRS, _N_QUADS, _MOVES = range(9)
_MOST_WORDS = 128  # of a block
JOB_VALUES = _MOVES + 2 * _MOST_WORDS


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


def _column(bits: int) -> tuple[Any, Callable[..., ir.Value]]:
    """Return the code that puts a few bits of each of eight rows side by side."""
    word = ir.IntType(bits)
    vector = ir.VectorType(word, LANES)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        to, source, row_bytes = arguments
        column = ir.Constant(vector, ir.Undefined)
        for row in range(LANES):
            value = builder.load(_pointer(builder, source, word), align=1)
            column = builder.insert_element(column, value, ir.Constant(ir.IntType(32), row))
            source = builder.add(source, row_bytes)
        builder.store(column, _pointer(builder, to, vector), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


def _column_twin(n_bytes: int) -> Callable[..., None]:
    def twin(to, source, row_bytes):
        for row in range(LANES):
            at = int(source) + row * int(row_bytes)
            ctypes.memmove(int(to) + n_bytes * row, at, n_bytes)

    return twin


@_with_twin(_column_twin(2))
def _move_single_column(typing_context, to, source, row_bytes):
    """Copy a word of each of eight rows."""
    return _column(16)


@_with_twin(_column_twin(4))
def _move_pair_column(typing_context, to, source, row_bytes):
    """Copy two words of each of eight rows."""
    return _column(32)


def _move_quad_twin(to, source, row_bytes):
    for row in range(LANES):
        for pair in range(_QUAD):
            at = int(source) + row * int(row_bytes) + 4 * pair
            ctypes.memmove(int(to) + 4 * (LANES * pair + row), at, 4)


@_with_twin(_move_quad_twin)
def _move_quad(typing_context, to, source, row_bytes):
    """Turn four pairs of words of each of eight rows into four vectors of eight rows' pairs."""
    four, eight = (ir.VectorType(ir.IntType(32), lanes) for lanes in (4, 8))

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        to, source, row_bytes = arguments
        rows = []
        for _ in range(LANES):
            rows.append(builder.load(_pointer(builder, source, four), align=1))
            source = builder.add(source, row_bytes)
        # Rows 0 and 4 side by side, 1 and 5, ...: what is then done within halves is done at once.
        sides = [_shuffle(builder, rows[row], rows[row + 4], range(8)) for row in range(4)]
        low, high = (
            [_shuffle(builder, sides[one], sides[one + 1], _within_halves(first)) for one in (0, 2)]
            for first in (0, 2)
        )
        for number, (pair, first) in enumerate(((low, 0), (low, 2), (high, 0), (high, 2))):
            order = [first, first + 1, first + 8, first + 9]
            vector = _shuffle(builder, *pair, [*order, *(one + 4 for one in order)])
            at = builder.add(to, ir.Constant(ir.IntType(64), 32 * number))
            builder.store(vector, _pointer(builder, at, eight), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


def _within_halves(first: int) -> list[int]:
    """Return the order that takes two lanes of each half of two vectors by turns."""
    order = [first, first + 8, first + 1, first + 9]
    return [*order, *(one + 4 for one in order)]


def _shuffle(
    builder: ir.IRBuilder, one: ir.Value, other: ir.Value, order: Iterable[int]
) -> ir.Value:
    lanes = list(order)
    return builder.shuffle_vector(
        one, other, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    )


@njit(cache=True, nogil=True)
def _move_whole(job, group):
    """Move eight rows, a vector at a time."""
    n_blocks, n_words = job[_N_BLOCKS], job[_N_WORDS]
    row_bytes = 2 * n_blocks * n_words
    pairs_at = _MOVES + 2 * job[_N_SINGLES]
    quads_at = pairs_at + 2 * job[_N_PAIRS]
    stop = quads_at + 2 * job[_N_QUADS]
    source = job[SOURCE] + group * LANES * row_bytes
    to = job[TO] + group * LANES * row_bytes
    for _ in range(n_blocks):
        for at in range(_MOVES, pairs_at, 2):
            _move_single_column(to + 2 * job[at + 1], source + 2 * job[at], row_bytes)
        for at in range(pairs_at, quads_at, 2):
            _move_pair_column(to + 2 * job[at + 1], source + 2 * job[at], row_bytes)
        for at in range(quads_at, stop, 2):
            _move_quad(to + 2 * job[at + 1], source + 2 * job[at], row_bytes)
        source += 2 * n_words
        to += 2 * LANES * n_words


@njit(cache=True, nogil=True)
def _move_last(job, group):
    """Move fewer than eight rows, word by word: others cannot be read."""
    n_blocks, n_words = job[_N_BLOCKS], job[_N_WORDS]
    row_bytes = 2 * n_blocks * n_words
    pairs_at = _MOVES + 2 * job[_N_SINGLES]
    quads_at = pairs_at + 2 * job[_N_PAIRS]
    stop = quads_at + 2 * job[_N_QUADS]
    for lane in range(job[N_ROWS] - group * LANES):
        source = job[SOURCE] + (group * LANES + lane) * row_bytes
        to = job[TO] + group * LANES * row_bytes
        for _ in range(n_blocks):
            for at in range(_MOVES, pairs_at, 2):
                _move_one(to + 2 * (job[at + 1] + lane), source + 2 * job[at])
            for at in range(pairs_at, stop, 2):
                for pair in range(1 if at < quads_at else _QUAD):
                    place = to + 2 * job[at + 1] + 4 * (LANES * pair + lane)
                    _move_two(place, source + 2 * job[at] + 4 * pair)
            source += 2 * n_words
            to += 2 * LANES * n_words


@njit(cache=True, nogil=True)
def move_groups(job, first, last):
    """Move some groups of eight rows, by addresses.

    Parameters
    ----------
    job : int64[JOB_VALUES]   see `job_of`
    first, last : int         groups ``first..last - 1``
    """
    whole = job[N_ROWS] // LANES
    for group in range(first, min(last, whole)):
        _move_whole(job, group)
    if first <= whole < last:
        _move_last(job, whole)


def job_of(
    shape: tuple[int, int, int], bases: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return what `move_groups` is to do for rows of a shape, but for the two addresses.

    Parameters
    ----------
    shape : tuple of int     of the rows: n_rows, n_blocks, n_words
    bases, steps : int64[n_words]

    Returns
    -------
    job : int64[JOB_VALUES]   `set_addresses` before it is used
    """
    n_words = shape[2]
    pairs = np.flatnonzero(steps == _PAIR)
    together = bases[pairs[1::2]] - bases[pairs[: len(pairs) // 2 * 2 : 2]]
    if len(pairs) % 2 or not (together == 1).all() or not np.isin(steps, (1, _PAIR)).all():
        raise ValueError(f"steps {steps} must be 1, or 2 for pairs of words that stay together")
    top = bases + (LANES - 1) * steps
    if n_words and not (bases.min() >= 0 and top.max() < LANES * n_words):
        raise ValueError(f"words would land at {bases.min()}..{top.max()} of {LANES * n_words}")
    quads, alone = _quads(pairs[::2].tolist(), bases)
    singles = np.flatnonzero(steps == 1).tolist()
    moves = [value for word in (*singles, *alone, *quads) for value in (word, int(bases[word]))]
    job = np.zeros(JOB_VALUES, np.int64)
    head = (0, 0, *shape, len(singles), len(alone), len(quads))
    job[: _MOVES + len(moves)] = (*head, *moves)
    return job


def _quads(pairs: list[int], bases: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Return the first words of four pairs that follow each other here and there; and the rest."""
    quads, alone = [], []
    while pairs:
        four = pairs[:_QUAD]
        words = [four[0] + _PAIR * one for one in range(_QUAD)]
        places = [bases[four[0]] + _PAIR * LANES * one for one in range(_QUAD)]
        if four == words and bases[words].tolist() == places:
            quads.append(four[0])
            pairs = pairs[_QUAD:]
        else:
            alone.append(pairs.pop(0))
    return quads, alone


def set_addresses(job: NDArray[np.int64], source: int, to: int) -> None:
    """Say where a job's first row is, and where its first group goes."""
    job[SOURCE], job[TO] = source, to


def interleave(rows: np.ndarray, bases: np.ndarray, steps: np.ndarray, packed: np.ndarray) -> None:
    """Move word by word, where eight rows have four pairs each in vectors; compiled."""
    n_rows, n_blocks, n_words = rows.shape
    groups = -(-n_rows // LANES)
    shape = (groups, n_blocks, LANES * n_words)
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
    job = job_of(rows.shape, bases, steps)
    set_addresses(job, rows.ctypes.data, packed.ctypes.data)
    move_groups(job, 0, groups)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
    """Return ``size`` rows of 3 blocks of a float16 and six pairs of words, and where they go."""
    rows = rng.integers(0, 1 << 16, (size, 3, 13), dtype=np.uint16)
    firsts = [8, 88, *range(24, 88, 16)]
    bases = np.array([0, *(base + word for base in firsts for word in (0, 1))])
    steps = np.array([1, *[2] * 12])
    return rows, bases, steps, np.zeros((-(-size // LANES), 3, 13 * LANES), np.uint16)


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
