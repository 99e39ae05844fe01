"""Scale a token's values to a root mean square of one, times a weight each.

Follows: Zhang and Sennrich 2019, as Llama uses it: epsilon under the root, no mean taken away.
Leaves out: rows that are no multiple of 8 long; the caller pads them with zeros.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from kernels.record import Kernel, register
from kernels.vector_memory import load, store
from kernels.vectors import LANES, fused, splat, sum_of, zeros

_ONE = np.float32(1)


@njit(cache=True, nogil=True)
def norm_row(source, weights, to, n_values, epsilon):
    """Write one token's normed values; three addresses of float32.

    Rows reach to the next multiple of 8 behind ``n_values``; there source and weights are zero.
    """
    end = (n_values + LANES - 1) // LANES * LANES * 4
    squares = zeros()
    for at in range(0, end, 4 * LANES):
        values = load(source + at)
        squares = fused(values, values, squares)
    mean = sum_of(squares) / np.float32(n_values)
    factor = splat(_ONE / np.float32(math.sqrt(mean + np.float32(epsilon))))
    for at in range(0, end, 4 * LANES):
        store(to + at, load(source + at) * factor * load(weights + at))


@njit(cache=True, nogil=True)
def _rows(source, weights, epsilon, out):
    n_tokens, n_values = source.shape
    for token in range(n_tokens):
        at = token * n_values * 4
        places = source.ctypes.data + at, weights.ctypes.data, out.ctypes.data + at
        norm_row(places[0], places[1], places[2], n_values, epsilon)


def reference(source: np.ndarray, weights: np.ndarray, epsilon: float, out: np.ndarray) -> None:
    """Write the normed rows.

    Parameters
    ----------
    source : float32[n_tokens, n_values]   read; n_values a multiple of 8
    weights : float32[n_values]            read
    epsilon : float                        added under the root
    out : float32[n_tokens, n_values]      written
    """
    exact = source.astype(np.float64)
    mean = (exact * exact).mean(axis=1, keepdims=True)
    out[:] = exact / np.sqrt(mean + epsilon) * weights


def numpy(source, weights, epsilon, out):
    """Norm in float32 with NumPy."""
    mean = (source * source).mean(axis=1, keepdims=True)
    np.multiply(source / np.sqrt(mean + np.float32(epsilon)), weights, out=out)


def norm_rows(source: np.ndarray, weights: np.ndarray, epsilon: float, out: np.ndarray) -> None:
    """Norm row by row in vectors of eight."""
    expected = {"source": source.shape, "weights": source.shape[1:], "out": source.shape}
    for name, array in (("source", source), ("weights", weights), ("out", out)):
        wrong = array.dtype != np.float32 or array.shape != expected[name]
        if wrong or not array.flags.c_contiguous or source.shape[1] % LANES:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}; pass contiguous float32 of "
                f"{list(expected[name])}, rows a multiple of {LANES}"
            )
    _rows(source, weights, epsilon, out)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray | float, ...]:
    """Return ``size`` rows of 40 values, every third one tiny."""
    source = rng.standard_normal((size, 40), dtype=np.float32)
    source[2::3] *= np.float32(1e-6)
    weights = rng.standard_normal(40, dtype=np.float32)
    return source, weights, 1e-5, np.zeros_like(source)


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=2e-6)


def bytes_moved(source, weights, epsilon, out) -> int:
    """Return the bytes read plus written."""
    return source.nbytes + weights.nbytes + out.nbytes


KERNEL = register(
    Kernel(
        name="rms_norm",
        reference=reference,
        baseline="numpy",
        variants={"numpy": numpy, "njit_vectors": norm_rows},
        make_inputs=make_inputs,
        outputs=(3,),
        check=_close,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 33),
    )
)
