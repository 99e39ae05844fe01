"""Turn pairs of a head's values by angles that grow with the position.

Follows: Su et al. 2021; pairs of neighbours as Llama's GGUF files order them, pairs of halves as
GPT-NeoX and Qwen2 do.
Leaves out: the angles (workbench/inference/rope_angles.py), so any scaling of positions will do.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.record import Kernel, register
from kernels.vector_memory import load_float, store_float


@njit(cache=True, nogil=True)
def turn_row(heads, n_heads, head_dim, angles, halves):
    """Turn one token's heads in place.

    Parameters
    ----------
    heads : int      address of float32[n_heads, head_dim]
    angles : tuple   addresses of float32[n_pairs] cosines and sines, and n_pairs; values behind
                     2 * n_pairs pass unchanged
    halves : bool    pairs are values i and i + n_pairs; else 2i and 2i + 1
    """
    cosines, sines, n_pairs = angles
    step, gap = (4, 4 * n_pairs) if halves else (8, 4)
    for head in range(n_heads):
        place = heads + head * head_dim * 4
        for pair in range(n_pairs):
            first = place + pair * step
            a, b = load_float(first), load_float(first + gap)
            cosine, sine = load_float(cosines + 4 * pair), load_float(sines + 4 * pair)
            store_float(first, a * cosine - b * sine)
            store_float(first + gap, a * sine + b * cosine)


@njit(cache=True, nogil=True)
def _rows(heads, cosines, sines, halves):
    n_tokens, n_heads, head_dim = heads.shape
    n_pairs = cosines.shape[1]
    for token in range(n_tokens):
        at = token * n_pairs * 4
        angles = cosines.ctypes.data + at, sines.ctypes.data + at, n_pairs
        place = heads.ctypes.data + token * n_heads * head_dim * 4
        turn_row(place, n_heads, head_dim, angles, halves)


def reference(heads: np.ndarray, cosines: np.ndarray, sines: np.ndarray, halves: bool) -> None:
    """Turn heads in place.

    Parameters
    ----------
    heads : float32[n_tokens, n_heads, head_dim]      read and written
    cosines, sines : float32[n_tokens, n_pairs]       read; 2 * n_pairs <= head_dim
    halves : bool   pairs are values i and i + n_pairs; else 2i and 2i + 1
    """
    n_pairs = cosines.shape[1]
    for token in range(len(heads)):
        for head in heads[token]:
            for pair in range(n_pairs):
                first, second = (pair, pair + n_pairs) if halves else (2 * pair, 2 * pair + 1)
                a, b = np.float64(head[first]), np.float64(head[second])
                head[first] = a * cosines[token, pair] - b * sines[token, pair]
                head[second] = a * sines[token, pair] + b * cosines[token, pair]


def numpy(heads, cosines, sines, halves):
    """Turn all tokens at once with NumPy."""
    n_pairs = cosines.shape[1]
    turned = heads[..., : 2 * n_pairs]
    a, b = (
        (turned[..., :n_pairs], turned[..., n_pairs:])
        if halves
        else (turned[..., ::2], turned[..., 1::2])
    )
    cosine, sine = cosines[:, None], sines[:, None]
    a[:], b[:] = a * cosine - b * sine, a * sine + b * cosine


def turn_pairs(heads: np.ndarray, cosines: np.ndarray, sines: np.ndarray, halves: bool) -> None:
    """Turn pair by pair, compiled."""
    for name, array, n_dims in (("heads", heads, 3), ("cosines", cosines, 2), ("sines", sines, 2)):
        if array.dtype != np.float32 or array.ndim != n_dims or not array.flags.c_contiguous:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}; pass contiguous float32 of "
                f"{n_dims} dimensions"
            )
    n_tokens, _, head_dim = heads.shape
    if cosines.shape != sines.shape or len(cosines) != n_tokens or 2 * cosines.shape[1] > head_dim:
        raise ValueError(
            f"angles of shapes {cosines.shape} and {sines.shape} do not fit {n_tokens} tokens of "
            f"{head_dim} values a head"
        )
    _rows(heads, cosines, sines, halves)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray | bool, ...]:
    """Return ``size`` tokens of 2 heads of 10 values, 8 of which turn; halves for odd sizes."""
    angles = rng.uniform(0, 6.3, (size, 4)).astype(np.float32)
    heads = rng.standard_normal((size, 2, 10), dtype=np.float32)
    return heads, np.cos(angles), np.sin(angles), bool(size % 2)


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def bytes_moved(heads, cosines, sines, halves) -> int:
    """Return the bytes read plus written."""
    return 2 * heads.nbytes + cosines.nbytes + sines.nbytes


KERNEL = register(
    Kernel(
        name="rope",
        reference=reference,
        baseline="numpy",
        variants={"numpy": numpy, "njit_pairs": turn_pairs},
        make_inputs=make_inputs,
        outputs=(0,),
        check=_close,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 7, 24),
    )
)
