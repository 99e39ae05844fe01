"""Multiply float32 activations with weights kept as float32 or float16.

Follows: a sum in the order of the columns, one fused multiply-add each, eight rows at a time.
Leaves out: bfloat16, which is widened to float32 when it is packed.

A group of eight rows: for each column the eight rows' weights, 32 or 16 bytes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.matvec import TILE_TOKENS, TOKENS, Activations, Output, address_of, row_place
from kernels.record import Kernel, register
from kernels.vector_memory import load, load_halves, load_splat, store
from kernels.vectors import LANES, fused, zeros


@njit(cache=True, nogil=True)
def _weights(rows, column, halves):
    if halves:
        return load_halves(rows + column * 2 * LANES)
    return load(rows + column * 4 * LANES)


@njit(cache=True, nogil=True)
def _one(rows, halves, values, n_values):
    """Return one token's products with a group."""
    total = zeros()
    for column in range(n_values):
        total = fused(_weights(rows, column, halves), load_splat(values + 4 * column), total)
    return total


@njit(cache=True, nogil=True)
def _four(rows, halves, activations, token, output, group):
    """Write four tokens' products with a group; the weights are loaded once."""
    a, b, c, d = zeros(), zeros(), zeros(), zeros()
    stride = 4 * activations.stride
    values = activations.floats + token * stride
    for _ in range(activations.n_values):
        weights = _weights(rows, 0, halves)
        a = fused(weights, load_splat(values), a)
        b = fused(weights, load_splat(values + stride), b)
        c = fused(weights, load_splat(values + 2 * stride), c)
        d = fused(weights, load_splat(values + 3 * stride), d)
        rows += (2 if halves else 4) * LANES
        values += 4
    store(row_place(output, token, group), a)
    store(row_place(output, token + 1, group), b)
    store(row_place(output, token + 2, group), c)
    store(row_place(output, token + 3, group), d)


@njit(cache=True, nogil=True)
def multiply(weights, halves, groups, activations, output):
    """Write the products of a range of groups (first, last) of a matrix at an address."""
    first, last = groups
    group_bytes = activations.n_values * LANES * (2 if halves else 4)
    for start in range(0, activations.n_tokens, TILE_TOKENS):
        stop = min(start + TILE_TOKENS, activations.n_tokens)
        for group in range(first, last):
            rows = weights + group * group_bytes
            token = start
            while token + TOKENS <= stop:
                _four(rows, halves, activations, token, output, group)
                token += TOKENS
            while token < stop:
                values = activations.floats + token * 4 * activations.stride
                total = _one(rows, halves, values, activations.n_values)
                store(row_place(output, token, group), total)
                token += 1


def reference(packed: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
    """Write the products.

    Parameters
    ----------
    packed : float32 or float16[groups, n_values, 8]   read
    values : float32[n_tokens, n_values]               read
    out : float32[n_tokens, 8 * groups]                written
    """
    weights = packed.astype(np.float64).transpose(0, 2, 1).reshape(-1, packed.shape[1])
    out[:] = values.astype(np.float64) @ weights.T


def numpy(packed, values, out):
    """Multiply with NumPy's BLAS."""
    weights = packed.astype(np.float32).transpose(0, 2, 1).reshape(-1, packed.shape[1])
    np.matmul(values, weights.T, out=out)


def njit_columns(packed, values, out):
    """Multiply column by column with eight rows in one vector."""
    expected = (values.shape[0], len(packed) * LANES)
    if packed.dtype not in (np.float32, np.float16) or packed.shape[1] != values.shape[1]:
        raise ValueError(
            f"packed is {packed.dtype}{list(packed.shape)}; this product needs float32 or "
            f"float16[groups, {values.shape[1]}, {LANES}]"
        )
    for name, array in (("values", values), ("out", out)):
        if array.dtype != np.float32 or not array.flags.c_contiguous:
            raise ValueError(f"{name} is {array.dtype}; pass C-contiguous float32")
    if out.shape != expected:
        raise ValueError(f"out has the shape {out.shape}, these operands need {expected}")
    n_tokens, n_values = values.shape
    activations = Activations(0, 0, 0, address_of(values), n_values, n_values, n_tokens)
    output = Output(address_of(out), out.shape[1])
    halves = packed.dtype == np.float16
    multiply(address_of(packed), halves, (0, len(packed)), activations, output)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
    """Return weights of ``size`` rows, padded to eights, of 19 columns; float16 for odd sizes."""
    groups, n_tokens, n_values = -(-size // LANES), 1 + size % 7, 19
    packed = rng.standard_normal((groups, n_values, LANES), dtype=np.float32)
    values = rng.standard_normal((n_tokens, n_values), dtype=np.float32)
    out = np.zeros((n_tokens, groups * LANES), np.float32)
    return packed.astype(np.float16 if size % 2 else np.float32), values, out


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def bytes_moved(packed: np.ndarray, values: np.ndarray, out: np.ndarray) -> int:
    """Return the bytes read plus written."""
    return packed.nbytes + values.nbytes + out.nbytes


KERNEL = register(
    Kernel(
        name="matvec_floats",
        reference=reference,
        baseline="numpy",
        variants={"numpy": numpy, "njit_columns": njit_columns},
        make_inputs=make_inputs,
        outputs=(2,),
        check=_close,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 8, 17, 36),
    )
)
