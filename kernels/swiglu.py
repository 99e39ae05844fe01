"""Multiply one half of a feed-forward layer with the other's gate: silu(gate) * up.

Follows: Shazeer 2020; silu(x) = x / (1 + exp(-x)).
Leaves out: rows that are no multiple of 8 long; the caller pads them with zeros.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.exponential import exponential
from kernels.record import Kernel, register
from kernels.vector_memory import load, store
from kernels.vectors import LANES, splat

_ONE, _MINUS_ONE = np.float32(1), np.float32(-1)


@njit(cache=True, nogil=True)
def gate_row(gate, up, to, n_values):
    """Write the gated values of a row; three addresses of float32, padded to a multiple of 8."""
    for at in range(0, 4 * n_values, 4 * LANES):
        values = load(gate + at)
        sigmoid = splat(_ONE) / (splat(_ONE) + exponential(values * splat(_MINUS_ONE)))
        store(to + at, values * sigmoid * load(up + at))


@njit(cache=True, nogil=True)
def _all(gate, up, out):
    gate_row(gate.ctypes.data, up.ctypes.data, out.ctypes.data, gate.size)


def reference(gate: np.ndarray, up: np.ndarray, out: np.ndarray) -> None:
    """Write silu(gate) * up.

    Parameters
    ----------
    gate, up : float32[n_tokens, n_values]   read; n_values a multiple of 8
    out : float32[n_tokens, n_values]        written
    """
    exact = gate.astype(np.float64)
    out[:] = exact / (1 + np.exp(-exact)) * up


def numpy(gate, up, out):
    """Gate in float32 with NumPy."""
    np.multiply(gate / (1 + np.exp(-gate)), up, out=out)


def njit_vectors(gate, up, out):
    """Gate eight values at a time."""
    for name, array in (("gate", gate), ("up", up), ("out", out)):
        wrong = array.dtype != np.float32 or array.shape != gate.shape
        if wrong or not array.flags.c_contiguous or gate.shape[1] % LANES:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}; pass contiguous float32 of "
                f"{list(gate.shape)}, rows a multiple of {LANES}"
            )
    _all(gate, up, out)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
    """Return ``size`` rows of 24 values; gates far into both tails among them."""
    gate, up = rng.standard_normal((2, size, 24), dtype=np.float32)
    gate[::2] *= 25
    return gate, up, np.zeros_like(gate)


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-30)


def bytes_moved(gate: np.ndarray, up: np.ndarray, out: np.ndarray) -> int:
    """Return the bytes read plus written."""
    return gate.nbytes + up.nbytes + out.nbytes


KERNEL = register(
    Kernel(
        name="swiglu",
        reference=reference,
        baseline="numpy",
        variants={"numpy": numpy, "njit_vectors": njit_vectors},
        make_inputs=make_inputs,
        outputs=(2,),
        check=_close,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 33),
    )
)
