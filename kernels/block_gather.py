"""Gather one layer's keys and values from KV blocks into contiguous arrays, as kept or as float32.

Follows: the stores' layout (block_copy.py, block_narrow.py, block_quantize.py), the other way.
Leaves out: attention straight from the blocks, which needs no gathering, and threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps

import numpy as np
from numba import njit

from kernels import copy
from kernels.array_check import expect
from kernels.block_target import K_SCALES, V_SCALES, K, V
from kernels.half import half_to_float
from kernels.record import Kernel, exact, register
from kernels.scale import NAN_BITS
from kernels.simd import address_of

Gather = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int], None]

_HALF_BYTES = 2
_FLOATS, _HALVES = np.dtype(np.float32), np.dtype(np.uint16)


def checked(gather: Gather, outputs: tuple[np.dtype, ...], value_bytes: int | None) -> Gather:
    """Return a gather that refuses what its loop cannot do; costs about five microseconds a call.

    ``value_bytes`` is a stored value's size, None where that is the output's.
    """

    @wraps(gather)
    def run(
        k_out: np.ndarray,
        v_out: np.ndarray,
        memory: np.ndarray,
        slots: np.ndarray,
        places: np.ndarray,
        block_tokens: int,
    ) -> None:
        k_out, v_out = (_as_bits(array) for array in (k_out, v_out))
        if k_out.ndim != 3 or k_out.dtype not in outputs:
            raise ValueError(
                f"k_out is {k_out.dtype}{list(k_out.shape)}; pass [n_tokens, kv_heads, head_dim] "
                f"of {' or '.join(map(str, outputs))}"
            )
        expect("k_out", k_out, k_out.shape, k_out.dtype)
        expect("v_out", v_out, k_out.shape, k_out.dtype)
        expect("memory", memory, (*memory.shape[:1], *memory.shape[-1:]), np.dtype(np.uint8))
        n_tokens, heads, head_dim = k_out.shape
        if block_tokens < 1:
            raise ValueError(f"block_tokens={block_tokens} must be at least 1")
        expect("slots", slots, (-(-n_tokens // block_tokens),), np.dtype(np.int64))
        expect("places", places, (4,), np.dtype(np.int64))
        if k_out.size:
            item_bytes = value_bytes or k_out.itemsize
            _check_inside(memory, slots, places, block_tokens * heads * head_dim, item_bytes)
            if item_bytes == 1:
                _check_inside(memory, slots, places[K_SCALES:], block_tokens * heads, _HALF_BYTES)
            gather(k_out, v_out, memory, slots, places, block_tokens)

    return run


def _as_bits(array: np.ndarray) -> np.ndarray:
    return array.view(_HALVES) if array.dtype == np.float16 else array


def _check_inside(
    memory: np.ndarray, slots: np.ndarray, places: np.ndarray, n_values: int, item_bytes: int
) -> None:
    n_slots, block_bytes = memory.shape
    if slots.min() < 0 or slots.max() >= n_slots:
        raise ValueError(f"slots {slots.tolist()} are not all among the memory's {n_slots}")
    starts = places[:2]
    if starts.min() < 0 or starts.max() + n_values * item_bytes > block_bytes:
        raise ValueError(
            f"{n_values} values of {item_bytes} bytes from places {starts.tolist()} do not lie "
            f"within blocks of {block_bytes} bytes"
        )
    if ((starts | block_bytes | memory.ctypes.data) % item_bytes).any():
        raise ValueError(f"blocks and places {starts.tolist()} must be multiples of {item_bytes}")


def _parts(k_out, v_out, memory, slots, places, block_tokens):
    """Yield (output of one block, its bytes from the part's start, its scales' bytes)."""
    for out, part, part_scales in ((k_out, K, K_SCALES), (v_out, V, V_SCALES)):
        for number, slot in enumerate(slots):
            first = number * block_tokens
            yield (
                out[first : first + block_tokens],
                memory[slot, places[part] :],
                memory[slot, places[part_scales] :],
            )


def same_reference(k_out, v_out, memory, slots, places, block_tokens):
    """Copy a layer's values out of its blocks, bit for bit.

    Parameters
    ----------
    k_out, v_out : float32 or uint16[n_tokens, kv_heads, head_dim]   written
    memory : uint8[n_slots, block_bytes]   blocks
    slots : int64[n_blocks]                the blocks in the sequence's order, the last partly full
    places : int64[4]                      where the layer's K, V and scales begin in a block, bytes
    block_tokens : int                     tokens a block holds
    """
    for out, values, _ in _parts(k_out, v_out, memory, slots, places, block_tokens):
        out[:] = values[: out.nbytes].view(out.dtype).reshape(out.shape)


@njit(cache=True, nogil=True)
def same_vector(k_out, v_out, memory, slots, places, block_tokens):
    """Copy block by block, cache line by cache line."""
    n_tokens, heads, head_dim = k_out.shape
    row_bytes = heads * head_dim * k_out.itemsize
    for number in range(slots.size):
        first = number * block_tokens
        n_bytes = min(block_tokens, n_tokens - first) * row_bytes
        block, to = address_of(memory) + slots[number] * memory.shape[1], first * row_bytes
        copy.vector_at(address_of(k_out) + to, block + places[K], n_bytes)
        copy.vector_at(address_of(v_out) + to, block + places[V], n_bytes)


def half_reference(k_out, v_out, memory, slots, places, block_tokens):
    """Widen a layer's float16 values to float32; arguments as in `same_reference`."""
    for out, values, _ in _parts(k_out, v_out, memory, slots, places, block_tokens):
        out[:] = values[: out.size * _HALF_BYTES].view(np.float16).reshape(out.shape)


@njit(cache=True, nogil=True)
def half_njit(k_out, v_out, memory, slots, places, block_tokens):
    """Widen block by block in a plain loop, which LLVM vectorises."""
    n_tokens, heads, head_dim = k_out.shape
    k_values, v_values = k_out.reshape(-1), v_out.reshape(-1)
    halves = memory.reshape(-1).view(np.uint16)
    for number in range(slots.size):
        first = number * block_tokens
        n_values = min(block_tokens, n_tokens - first) * heads * head_dim
        to, block = first * heads * head_dim, slots[number] * memory.shape[1]
        k_start, v_start = (block + places[K]) // _HALF_BYTES, (block + places[V]) // _HALF_BYTES
        _widen(k_values[to : to + n_values], halves[k_start : k_start + n_values])
        _widen(v_values[to : to + n_values], halves[v_start : v_start + n_values])


@njit(cache=True, nogil=True)
def _widen(values, halves):
    # Indices from 0: where LLVM cannot rule out negative ones, it does not vectorise.
    for index in range(halves.size):
        values[index] = half_to_float(halves[index])


def int8_reference(k_out, v_out, memory, slots, places, block_tokens):
    """Multiply a layer's int8 values with their scales; arguments as in `same_reference`."""
    for out, values, scales in _parts(k_out, v_out, memory, slots, places, block_tokens):
        n_tokens, heads, _ = out.shape
        out[:] = values[: out.size].view(np.int8).reshape(out.shape)
        out *= scales[: n_tokens * heads * _HALF_BYTES].view(np.float16).reshape(n_tokens, heads, 1)


@njit(cache=True, nogil=True)
def _dequantise(out, to, memory, start, scales_start, n_heads):
    """Write ``n_heads`` heads of a block from ``out[to]`` on."""
    head_dim, flat = out.shape[2], out.reshape(-1)
    scales = memory.view(np.uint16)[scales_start // _HALF_BYTES :]
    for head in range(n_heads):
        scale = half_to_float(scales[head])
        values, floats = memory[start : start + head_dim], flat[to : to + head_dim]
        for index in range(head_dim):
            floats[index] = np.float32(np.int8(values[index])) * scale
        start += head_dim
        to += head_dim


@njit(cache=True, nogil=True)
def int8_njit(k_out, v_out, memory, slots, places, block_tokens):
    """Multiply head by head in a plain loop, which LLVM vectorises."""
    n_tokens, heads, head_dim = k_out.shape
    flat = memory.reshape(-1)
    for number in range(slots.size):
        first, block = number * block_tokens, slots[number] * memory.shape[1]
        n_heads = min(block_tokens, n_tokens - first) * heads
        to, k, v = first * heads * head_dim, block + places[K], block + places[V]
        _dequantise(k_out, to, flat, k, block + places[K_SCALES], n_heads)
        _dequantise(v_out, to, flat, v, block + places[V_SCALES], n_heads)


def choose(stored: str, gathered: str) -> Gather:
    """Return the fastest gather of blocks kept as one dtype into arrays of another.

    Raises
    ------
    ValueError   if no gather goes from the one to the other
    """
    if stored == gathered and stored in ("float32", "float16"):
        return SAME.variants["njit_vector"]
    kernels = {("float16", "float32"): WIDEN, ("int8", "float32"): DEQUANTISE}
    if (stored, gathered) not in kernels:
        raise ValueError(
            f"no gather goes from {stored} to {gathered}; there are float32 and float16 as they "
            "are, and float16 and int8 to float32"
        )
    return kernels[stored, gathered].variants["njit"]


_TOY_BLOCK_TOKENS = 8
_TOY_SHAPES = ((3, 5), (2, 64), (1, 33))


def make_inputs(rng, size, dtype, value_bytes):
    """Return outputs for ``size`` tokens and random blocks of toy size in random order."""
    heads, head_dim = _TOY_SHAPES[size % len(_TOY_SHAPES)]
    side = _TOY_BLOCK_TOKENS * heads * head_dim * value_bytes
    n_scales = _TOY_BLOCK_TOKENS * heads if value_bytes == 1 else 0
    places = np.array([4, 4 + side, 4 + 2 * side, 4 + 2 * side + 2 * n_scales], np.int64)
    n_blocks = -(-size // _TOY_BLOCK_TOKENS)
    block_bytes = int(places[3]) + 2 * n_scales
    memory = rng.integers(0, 256, (n_blocks + 2, block_bytes), dtype=np.uint8)
    if n_scales:
        halves = memory[:, places[2] :].view(np.uint16)
        halves &= 0x3FFF  # what a store would have written: positive, finite
        halves[rng.random(halves.shape) < 0.1] = NAN_BITS
    else:
        # NaNs compare by their bits, and widening makes them quiet, which NumPy does not.
        memory.view(np.uint16)[:] &= 0x3FFF
    out = np.zeros((2, size, heads, head_dim), dtype)
    slots = rng.permutation(n_blocks + 2)[:n_blocks].astype(np.int64)
    return out[0], out[1], memory, slots, places, _TOY_BLOCK_TOKENS


def bytes_moved(k_out, v_out, memory, slots, places, block_tokens, value_bytes) -> int:
    """Return the bytes read plus written, without scales."""
    return (k_out.size + v_out.size) * (k_out.itemsize + value_bytes)


def _kernel(name, functions, outputs, value_bytes, check_bytes) -> Kernel:
    reference, technique, njitted = functions
    check = partial(checked, outputs=outputs, value_bytes=check_bytes)
    return register(
        Kernel(
            name=name,
            reference=reference,
            baseline="numpy",
            variants={"numpy": check(reference), technique: check(njitted)},
            make_inputs=partial(make_inputs, dtype=outputs[0], value_bytes=value_bytes),
            outputs=(0, 1),
            check=exact,
            bytes_moved=partial(bytes_moved, value_bytes=value_bytes),
            sizes=(0, 1, 7, 8, 9, 37),
        )
    )


SAME = _kernel(
    "block_gather", (same_reference, "njit_vector", same_vector), (_FLOATS, _HALVES), 4, None
)
WIDEN = _kernel("block_gather_float16", (half_reference, "njit", half_njit), (_FLOATS,), 2, 2)
DEQUANTISE = _kernel("block_gather_int8", (int8_reference, "njit", int8_njit), (_FLOATS,), 1, 1)
