"""Store tokens' keys and values into the hot slab's ring, token-major.

Follows: the store loop behind the seed report's baseline (32 layers x 32 heads x 128, fp32).
Leaves out: which slots may be overwritten and what is counted (workbench/tiering), quantisation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
from numba import njit

from kernels import copy
from kernels.array_check import expect
from kernels.record import Kernel, exact, register
from kernels.simd import address_of, store_fence

Store = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int], None]

_TOY_SLAB = (3, 8, 2, 5)  # layers, capacity, heads, head_dim of `make_inputs`


def checked(store: Store, head_axis: int = 2) -> Store:
    """Return a store that refuses mismatched arrays; costs about two microseconds a call.

    ``head_axis`` is the slab's axis of heads: 2 if it is token-major, 1 if head-major.
    """

    @wraps(store)
    def run(
        k_slab: np.ndarray,
        v_slab: np.ndarray,
        k_tokens: np.ndarray,
        v_tokens: np.ndarray,
        position: int,
    ) -> None:
        shape = _slab_shape(k_slab)
        layers, heads, head_dim = shape[0], shape[head_axis], shape[3]
        n_tokens = k_tokens.shape[0] if k_tokens.ndim else 0
        expect("v_slab", v_slab, k_slab.shape, k_slab.dtype)
        expect("k_tokens", k_tokens, (n_tokens, layers, heads, head_dim), k_slab.dtype)
        expect("v_tokens", v_tokens, k_tokens.shape, k_slab.dtype)
        if position < 0:
            raise ValueError(f"position {position} is negative; positions count from 0")
        store(k_slab, v_slab, k_tokens, v_tokens, position)

    return run


def _slab_shape(k_slab: np.ndarray) -> tuple[int, ...]:
    if k_slab.ndim != 4 or k_slab.size == 0:
        raise ValueError(
            f"k_slab has shape {k_slab.shape}; "
            "pass four sides, layers first and head_dim last, none of them 0"
        )
    expect("k_slab", k_slab, k_slab.shape, k_slab.dtype)
    return k_slab.shape


def reference(
    k_slab: np.ndarray,
    v_slab: np.ndarray,
    k_tokens: np.ndarray,
    v_tokens: np.ndarray,
    position: int,
) -> None:
    """Write token t of the batch to ring slot ``(position + t) % capacity_tokens`` of every layer.

    Parameters
    ----------
    k_slab, v_slab : any[layers, capacity_tokens, heads, head_dim]   written
    k_tokens, v_tokens : any[n_tokens, layers, heads, head_dim]      read; the slabs' dtype
    position : int   sequence position of the batch's first token, >= 0

    A batch longer than the ring leaves its last ``capacity_tokens`` tokens behind.
    """
    n_tokens, layers, heads, head_dim = k_tokens.shape
    for token in range(n_tokens):
        slot = (position + token) % k_slab.shape[1]
        for layer in range(layers):
            for head in range(heads):
                for value in range(head_dim):
                    k_slab[layer, slot, head, value] = k_tokens[token, layer, head, value]
                    v_slab[layer, slot, head, value] = v_tokens[token, layer, head, value]


def python_per_head(k_slab, v_slab, k_tokens, v_tokens, position):
    """Loop in Python over layers and heads; NumPy copies one head's row at a time."""
    n_tokens, layers, heads, _ = k_tokens.shape
    for token in range(n_tokens):
        slot = (position + token) % k_slab.shape[1]
        for layer in range(layers):
            for head in range(heads):
                k_slab[layer, slot, head] = k_tokens[token, layer, head]
                v_slab[layer, slot, head] = v_tokens[token, layer, head]


def numpy_per_layer(k_slab, v_slab, k_tokens, v_tokens, position):
    """Loop in Python over layers; NumPy copies all heads of one at a time."""
    n_tokens, layers, _, _ = k_tokens.shape
    for token in range(n_tokens):
        slot = (position + token) % k_slab.shape[1]
        for layer in range(layers):
            k_slab[layer, slot] = k_tokens[token, layer]
            v_slab[layer, slot] = v_tokens[token, layer]


@njit(cache=True, nogil=True)
def njit_scalar(k_slab, v_slab, k_tokens, v_tokens, position):
    """Loop value by value, compiled; LLVM vectorises the inner loops with ordinary stores."""
    n_tokens, layers, heads, head_dim = k_tokens.shape
    capacity_tokens = k_slab.shape[1]
    for token in range(n_tokens):
        slot = (position + token) % capacity_tokens
        for layer in range(layers):
            for head in range(heads):
                for value in range(head_dim):
                    k_slab[layer, slot, head, value] = k_tokens[token, layer, head, value]
                for value in range(head_dim):
                    v_slab[layer, slot, head, value] = v_tokens[token, layer, head, value]


@njit(cache=True, nogil=True)
def njit_vector(k_slab, v_slab, k_tokens, v_tokens, position):
    """Copy a layer's heads at once, cache line by cache line, with ordinary stores."""
    n_tokens, layers, heads, head_dim = k_tokens.shape
    capacity_tokens, row_bytes = k_slab.shape[1], heads * head_dim * k_tokens.itemsize
    k_start, v_start = address_of(k_tokens), address_of(v_tokens)
    for token in range(n_tokens):
        slot = (position + token) % capacity_tokens
        for layer in range(layers):
            offset = (layer * capacity_tokens + slot) * row_bytes
            copy.vector_at(address_of(k_slab) + offset, k_start, row_bytes)
            copy.vector_at(address_of(v_slab) + offset, v_start, row_bytes)
            k_start += row_bytes
            v_start += row_bytes


@njit(cache=True, nogil=True)
def njit_nontemporal(k_slab, v_slab, k_tokens, v_tokens, position):
    """Copy a layer's heads at once, past the cache."""
    n_tokens, layers, heads, head_dim = k_tokens.shape
    capacity_tokens, row_bytes = k_slab.shape[1], heads * head_dim * k_tokens.itemsize
    k_start, v_start = address_of(k_tokens), address_of(v_tokens)
    for token in range(n_tokens):
        slot = (position + token) % capacity_tokens
        for layer in range(layers):
            offset = (layer * capacity_tokens + slot) * row_bytes
            copy.nontemporal_at(address_of(k_slab) + offset, k_start, row_bytes)
            copy.nontemporal_at(address_of(v_slab) + offset, v_start, row_bytes)
            k_start += row_bytes
            v_start += row_bytes
    store_fence()


def make_inputs(
    rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Return zeroed toy slabs, ``size`` random fp32 tokens and a random position that may wrap."""
    layers, capacity_tokens, heads, head_dim = _TOY_SLAB
    tokens = rng.standard_normal((2, size, layers, heads, head_dim), dtype=np.float32)
    slabs = np.zeros((2, *_TOY_SLAB), np.float32)
    return slabs[0], slabs[1], tokens[0], tokens[1], int(rng.integers(0, 3 * capacity_tokens))


def bytes_moved(k_slab, v_slab, k_tokens, v_tokens, position) -> int:
    """Return the bytes read plus written."""
    return 2 * (k_tokens.nbytes + v_tokens.nbytes)


KERNEL = register(
    Kernel(
        name="kv_store",
        reference=reference,
        baseline="numpy_per_layer",
        variants={
            "python_per_head": checked(python_per_head),
            "numpy_per_layer": checked(numpy_per_layer),
            "njit_scalar": checked(njit_scalar),
            "njit_vector": checked(njit_vector),
            "njit_nontemporal": checked(njit_nontemporal),
        },
        make_inputs=make_inputs,
        outputs=(0, 1),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 7, 8, 9, 37),
    )
)
