"""Rotate heads by the Walsh-Hadamard matrix on the way from float16 to float32, and back.

Follows: QuaRot (arXiv 2404.00456) and llama.cpp's rotation before KV quantisation: a few large
values of a head are spread over all of them, so that 4 bits are shared out better. The matrix
divided by the root of its size is its own inverse.
Leaves out: rotating queries instead of rotating keys back, which would round otherwise; attention
rotates tiles of stored numbers back itself (kv_tile_int4.py).
"""

from __future__ import annotations

from functools import wraps

import numpy as np
from numba import njit

from kernels.array_check import expect
from kernels.half import float_to_half, half_to_float
from kernels.record import Kernel, exact, register
from kernels.simd import address_of
from kernels.vector_memory import load, load_halves, store, store_halves
from kernels.vectors import LANES, butterfly, splat

_HALF_BYTES, _FLOAT_BYTES = 2, 4

_TOY_HEADS = (1, 2, 8, 64, 128)  # values a head, chosen by size in turn


def reference(rotated, source, is_rotated):
    """Widen heads to float32 and rotate them.

    Parameters
    ----------
    rotated : float32[n_heads, head_dim]   written
    source : uint16[n_heads, head_dim]     float16 bits; head_dim a power of two
    is_rotated : bool                      False: widen only
    """
    rotated[:] = source.view(np.float16)
    if is_rotated:
        _rotate(rotated)


def _rotate(heads):
    """Add and subtract halves of runs of 2, 4, 8 ... values, and scale; the order is the sum's."""
    n_heads, head_dim = heads.shape
    step = 1
    while step < head_dim:
        pairs = heads.reshape(n_heads, -1, 2, step)
        first, second = pairs[:, :, 0].copy(), pairs[:, :, 1].copy()
        with np.errstate(invalid="ignore", over="ignore"):
            pairs[:, :, 0], pairs[:, :, 1] = first + second, first - second
        step *= 2
    heads *= _scale(head_dim)


def _scale(head_dim):
    return np.float32(1 / np.sqrt(head_dim))


@njit(cache=True, nogil=True)
def _rotate_one(head, scale):
    """Rotate one head in place: the steps of `_rotate`, value by value."""
    head_dim, step = head.shape[0], 1
    while step < head_dim:
        for index in range(head_dim):
            if not index & step:
                first, second = head[index], head[index + step]
                head[index], head[index + step] = first + second, first - second
        step *= 2
    for index in range(head_dim):
        head[index] *= scale


@njit(cache=True, nogil=True)
def _cross(start, head_dim, step):
    """Add and subtract vectors that lie ``step`` values apart, of the head at an address."""
    distance = _FLOAT_BYTES * step
    for run in range(0, head_dim, 2 * step):
        for index in range(run, run + step, LANES):
            low = start + _FLOAT_BYTES * index
            first, second = load(low), load(low + distance)
            store(low, first + second)
            store(low + distance, first - second)


@njit(cache=True, nogil=True)
def _widen_and_rotate(rotated, source, is_rotated, scale):
    n_heads, head_dim = source.shape
    if head_dim % LANES:
        for number in range(n_heads):
            for index in range(head_dim):
                rotated[number, index] = half_to_float(source[number, index])
            if is_rotated:
                _rotate_one(rotated[number], scale)
        return
    to, start, factor = address_of(rotated), address_of(source), splat(scale)
    for _ in range(n_heads):
        if is_rotated:
            for index in range(0, head_dim, LANES):
                values = butterfly(load_halves(start + _HALF_BYTES * index))
                store(to + _FLOAT_BYTES * index, values)
            step = LANES
            while step < head_dim:
                _cross(to, head_dim, step)
                step *= 2
            for index in range(0, head_dim, LANES):
                place = to + _FLOAT_BYTES * index
                store(place, load(place) * factor)
        else:
            for index in range(0, head_dim, LANES):
                store(to + _FLOAT_BYTES * index, load_halves(start + _HALF_BYTES * index))
        to += _FLOAT_BYTES * head_dim
        start += _HALF_BYTES * head_dim


def njit_heads(rotated, source, is_rotated):
    """Widen and rotate head by head, which stays in the first-level cache, in vectors of eight."""
    _widen_and_rotate(rotated, source, is_rotated, _scale(source.shape[1]))


def back_reference(narrowed, rotated, is_rotated):
    """Rotate heads back and narrow them to float16.

    Parameters
    ----------
    narrowed : uint16[n_heads, head_dim]   written, float16 bits
    rotated : float32[n_heads, head_dim]   used up: rotated back where it lies
    is_rotated : bool                      False: narrow only
    """
    if is_rotated:
        _rotate(rotated)
    with np.errstate(over="ignore", invalid="ignore"):
        narrowed[:] = rotated.astype(np.float16).view(np.uint16)


@njit(cache=True, nogil=True)
def _rotate_and_narrow(narrowed, rotated, is_rotated, scale):
    n_heads, head_dim = rotated.shape
    if head_dim % LANES:
        for number in range(n_heads):
            if is_rotated:
                _rotate_one(rotated[number], scale)
            for index in range(head_dim):
                narrowed[number, index] = float_to_half(rotated[number, index])
        return
    to, start, factor = address_of(narrowed), address_of(rotated), splat(scale)
    for _ in range(n_heads):
        if is_rotated:
            for index in range(0, head_dim, LANES):
                place = start + _FLOAT_BYTES * index
                store(place, butterfly(load(place)))
            step = LANES
            while step < head_dim:
                _cross(start, head_dim, step)
                step *= 2
            for index in range(0, head_dim, LANES):
                place = start + _FLOAT_BYTES * index
                values = load(place) * factor
                store(place, values)
                store_halves(to + _HALF_BYTES * index, values)
        else:
            for index in range(0, head_dim, LANES):
                store_halves(to + _HALF_BYTES * index, load(start + _FLOAT_BYTES * index))
        to += _HALF_BYTES * head_dim
        start += _FLOAT_BYTES * head_dim


def back_njit(narrowed, rotated, is_rotated):
    """Rotate back and narrow head by head, which stays in the first-level cache."""
    _rotate_and_narrow(narrowed, rotated, is_rotated, _scale(rotated.shape[1]))


def checked(kernel):
    """Return a kernel that refuses mismatched arrays and heads of other sizes."""

    @wraps(kernel)
    def run(written, read, is_rotated):
        head_dim = read.shape[1] if read.ndim == 2 else 0
        if head_dim < 1 or (is_rotated and head_dim & (head_dim - 1)):
            raise ValueError(
                f"heads are {read.dtype}{list(read.shape)}; pass [n_heads, head_dim], head_dim a "
                "power of two"
            )
        expect("heads", written, read.shape, written.dtype)
        expect("heads", read, read.shape, read.dtype)
        kernel(written, read, is_rotated)

    return run


def make_inputs(rng, size):
    """Return zeroed float32 and ``size`` heads of float16 bits; rotated where the size is odd."""
    shape = (size, _TOY_HEADS[size % len(_TOY_HEADS)])
    source = rng.standard_normal(shape).astype(np.float16).view(np.uint16)
    return np.zeros(shape, np.float32), source, size % 2 == 1


def make_rotated(rng, size):
    """Return zeroed float16 bits and ``size`` heads of float32."""
    shape = (size, _TOY_HEADS[size % len(_TOY_HEADS)])
    source = rng.standard_normal(shape).astype(np.float32)
    return np.zeros(shape, np.uint16), source, size % 2 == 1


def bytes_moved(written, read, is_rotated) -> int:
    """Return the bytes read plus written."""
    return written.nbytes + read.nbytes


FORTH = register(
    Kernel(
        name="hadamard",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(reference), "njit": checked(njit_heads)},
        make_inputs=make_inputs,
        outputs=(0,),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 4, 5, 33, 100),
    )
)
BACK = register(
    Kernel(
        name="hadamard_back",
        reference=back_reference,
        baseline="numpy",
        variants={"numpy": checked(back_reference), "njit": checked(back_njit)},
        make_inputs=make_rotated,
        outputs=(0, 1),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 4, 5, 33, 100),
    )
)
