"""Store tokens' keys and values into a ring of head-major slabs: a head's tokens lie together.

Follows: kv_store.py, for the layout [layers, heads, capacity_tokens, head_dim].
Leaves out: what that layout is for, attention that reads one head at a time.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

from kernels import copy, kv_store
from kernels.record import Kernel, exact, register
from kernels.simd import address_of, store_fence


def reference(k_slab, v_slab, k_tokens, v_tokens, position):
    """Write token t of the batch to ring slot ``(position + t) % capacity_tokens`` of every head.

    Parameters
    ----------
    k_slab, v_slab : any[layers, heads, capacity_tokens, head_dim]   written
    k_tokens, v_tokens : any[n_tokens, layers, heads, head_dim]      read; the slabs' dtype
    position : int   sequence position of the batch's first token, >= 0
    """
    n_tokens, layers, heads, head_dim = k_tokens.shape
    for token in range(n_tokens):
        slot = (position + token) % k_slab.shape[2]
        for layer in range(layers):
            for head in range(heads):
                for value in range(head_dim):
                    k_slab[layer, head, slot, value] = k_tokens[token, layer, head, value]
                    v_slab[layer, head, slot, value] = v_tokens[token, layer, head, value]


def numpy_per_layer(k_slab, v_slab, k_tokens, v_tokens, position):
    """Loop in Python over layers; NumPy scatters all heads of one at a time."""
    n_tokens, layers, _, _ = k_tokens.shape
    for token in range(n_tokens):
        slot = (position + token) % k_slab.shape[2]
        for layer in range(layers):
            k_slab[layer, :, slot] = k_tokens[token, layer]
            v_slab[layer, :, slot] = v_tokens[token, layer]


@njit(cache=True, nogil=True)
def njit_scalar(k_slab, v_slab, k_tokens, v_tokens, position):
    """Loop value by value, compiled; LLVM vectorises the inner loops with ordinary stores."""
    n_tokens, layers, heads, head_dim = k_tokens.shape
    capacity_tokens = k_slab.shape[2]
    for token in range(n_tokens):
        slot = (position + token) % capacity_tokens
        for layer in range(layers):
            for head in range(heads):
                for value in range(head_dim):
                    k_slab[layer, head, slot, value] = k_tokens[token, layer, head, value]
                for value in range(head_dim):
                    v_slab[layer, head, slot, value] = v_tokens[token, layer, head, value]


@njit(cache=True, nogil=True)
def njit_vector(k_slab, v_slab, k_tokens, v_tokens, position):
    """Copy head by head, cache line by cache line, with ordinary stores."""
    n_tokens, layers, heads, head_dim = k_tokens.shape
    capacity_tokens, head_bytes = k_slab.shape[2], head_dim * k_tokens.itemsize
    k_start, v_start = address_of(k_tokens), address_of(v_tokens)
    for token in range(n_tokens):
        slot = (position + token) % capacity_tokens
        for head in range(layers * heads):
            offset = (head * capacity_tokens + slot) * head_bytes
            copy.vector_at(address_of(k_slab) + offset, k_start, head_bytes)
            copy.vector_at(address_of(v_slab) + offset, v_start, head_bytes)
            k_start += head_bytes
            v_start += head_bytes


@njit(cache=True, nogil=True)
def njit_nontemporal(k_slab, v_slab, k_tokens, v_tokens, position):
    """Copy head by head, past the cache."""
    n_tokens, layers, heads, head_dim = k_tokens.shape
    capacity_tokens, head_bytes = k_slab.shape[2], head_dim * k_tokens.itemsize
    k_start, v_start = address_of(k_tokens), address_of(v_tokens)
    for token in range(n_tokens):
        slot = (position + token) % capacity_tokens
        for head in range(layers * heads):
            offset = (head * capacity_tokens + slot) * head_bytes
            copy.nontemporal_at(address_of(k_slab) + offset, k_start, head_bytes)
            copy.nontemporal_at(address_of(v_slab) + offset, v_start, head_bytes)
            k_start += head_bytes
            v_start += head_bytes
    store_fence()


def make_inputs(rng, size):
    """Return what `kv_store.make_inputs` does, with the slabs' axes in this order."""
    k_slab, v_slab, *rest = kv_store.make_inputs(rng, size)
    slabs = (np.ascontiguousarray(slab.swapaxes(1, 2)) for slab in (k_slab, v_slab))
    return (*slabs, *rest)


_checked = partial(kv_store.checked, head_axis=1)

KERNEL = register(
    Kernel(
        name="kv_store_head_major",
        reference=reference,
        baseline="numpy_per_layer",
        variants={
            "numpy_per_layer": _checked(numpy_per_layer),
            "njit_scalar": _checked(njit_scalar),
            "njit_vector": _checked(njit_vector),
            "njit_nontemporal": _checked(njit_nontemporal),
        },
        make_inputs=make_inputs,
        outputs=(0, 1),
        check=exact,
        bytes_moved=kv_store.bytes_moved,
        sizes=(0, 1, 7, 8, 9, 37),
    )
)
