"""Say where tokens go within KV blocks, and refuse what would not fit, for all block stores.

Follows: workbench/tiering/tiered_kv_cache/layout.py, whose offsets come in as an array.
Leaves out: the storing itself (block_copy.py, block_narrow.py, block_quantize.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps

import numpy as np
from numba import njit

from kernels.array_check import expect
from kernels.record import Kernel, exact, register
from kernels.simd import address_of

Store = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]

_BYTES, _NUMBERS, _HALVES = np.dtype(np.uint8), np.dtype(np.int64), np.dtype(np.float16)

# Columns of `places`: where one layer's parts begin within a block, bytes.
K, V, K_SCALES, V_SCALES = range(4)
_SCALE_BYTES = 2

_TOY_LAYERS, _TOY_BLOCK_TOKENS = 2, 8
# KV heads, head dimension, bytes before the first layer: rows that end within a cache line, that
# fill whole ones, and that begin off the grid. Chosen by size in turn.
_TOY_SHAPES = ((3, 5, 0), (2, 64, 0), (3, 64, 36), (2, 100, 4), (1, 128, 64))


def register_store(
    name: str,
    variants: Mapping[str, Store],
    *,
    sources: tuple[type, ...],
    value_bytes: int | None,
    make_inputs: Callable[..., tuple[np.ndarray, ...]],
    sizes: tuple[int, ...],
) -> Kernel:
    """Return the record of a family of block stores; its variants are made `checked`.

    ``variants`` holds the reference too, by that name; the baseline is "numpy_per_layer".
    """

    def moved(slab, slots, rows, places, k_tokens, v_tokens) -> int:
        """Return the bytes read plus written, scales included."""
        return bytes_moved(value_bytes or k_tokens.itemsize, k_tokens, v_tokens)

    return register(
        Kernel(
            name=name,
            reference=variants["reference"],
            baseline="numpy_per_layer",
            variants={
                variant: checked(store, sources, value_bytes)
                for variant, store in variants.items()
                if variant != "reference"
            },
            make_inputs=make_inputs,
            outputs=(0,),
            check=exact,
            bytes_moved=moved,
            sizes=sizes,
        )
    )


def checked(store: Store, sources: tuple[type, ...], value_bytes: int | None) -> Store:
    """Return a store that refuses what its loop cannot do; costs about five microseconds a call.

    Parameters
    ----------
    store : callable      of one family
    sources : tuple       dtypes of tokens that it takes; float16 is handed on as uint16 bits
    value_bytes : int     bytes of a stored value, None if they are the source's; 1 is int8, whose
                          scales are stored too
    """
    taken = tuple(np.dtype(source) for source in sources)

    @wraps(store)
    def run(
        slab: np.ndarray,
        slots: np.ndarray,
        rows: np.ndarray,
        places: np.ndarray,
        k_tokens: np.ndarray,
        v_tokens: np.ndarray,
    ) -> None:
        k_tokens, v_tokens = _as_bits(k_tokens), _as_bits(v_tokens)
        if k_tokens.ndim != 4 or k_tokens.dtype not in taken:
            raise ValueError(
                f"k_tokens is {k_tokens.dtype}{list(k_tokens.shape)}; pass [n_tokens, n_layers, "
                f"kv_heads, head_dim] of {' or '.join(map(str, taken))}"
            )
        n_tokens, n_layers, heads, head_dim = k_tokens.shape
        expect("k_tokens", k_tokens, k_tokens.shape, k_tokens.dtype)
        expect("v_tokens", v_tokens, k_tokens.shape, k_tokens.dtype)
        expect("slab", slab, (*slab.shape[:1], *slab.shape[-1:]), _BYTES)
        expect("slots", slots, (n_tokens,), _NUMBERS)
        expect("rows", rows, (n_tokens,), _NUMBERS)
        expect("places", places, (n_layers, 4), _NUMBERS)
        if k_tokens.size == 0:
            return
        row = (heads, head_dim, value_bytes or k_tokens.itemsize)
        misfit = first_misfit(slab, slots, rows, places, row)
        if misfit >= 0:
            _refuse(misfit, slab, slots, rows, places)
        store(slab, slots, rows, places, k_tokens, v_tokens)

    return run


def _as_bits(tokens: np.ndarray) -> np.ndarray:
    return tokens.view(np.uint16) if tokens.dtype == _HALVES else tokens


def _refuse(
    token: int, slab: np.ndarray, slots: np.ndarray, rows: np.ndarray, places: np.ndarray
) -> None:
    n_slots, block_bytes = slab.shape
    if token == len(slots):
        raise ValueError(
            "blocks and places must be multiples of their values' bytes, scales of 2: "
            f"block_bytes={block_bytes}, places {places.tolist()}"
        )
    raise ValueError(
        f"token {token} would lie outside the slab: slot {slots[token]} of {n_slots}, row "
        f"{rows[token]} in blocks of {block_bytes} bytes, places {places.tolist()}"
    )


@njit(cache=True, nogil=True)
def first_misfit(slab, slots, rows, places, row):
    """Return the first token that would lie outside the slab, or -1.

    It is ``len(slots)`` if values or scales lie off the grid of their size, which some processors
    cannot address. ``row`` is (kv_heads, head_dim, bytes of a value); int8 values have scales.
    """
    n_slots, block_bytes = slab.shape
    heads, head_dim, value_bytes = row
    grid_bytes = max(value_bytes, _SCALE_BYTES)
    lowest, off_grid = np.int64(0), address_of(slab) | block_bytes
    last, last_scales = np.int64(0), np.int64(0)
    for layer in range(places.shape[0]):
        for part in range(4):
            lowest = min(lowest, places[layer, part])
            off_grid |= places[layer, part]
        last = max(last, places[layer, K], places[layer, V])
        last_scales = max(last_scales, places[layer, K_SCALES], places[layer, V_SCALES])
    n_rows = (block_bytes - last) // (heads * head_dim * value_bytes)
    if value_bytes == 1:
        n_rows = min(n_rows, (block_bytes - last_scales) // (heads * _SCALE_BYTES))
    for token in range(slots.size):
        inside = 0 <= slots[token] < n_slots and 0 <= rows[token] < n_rows
        if not inside or lowest < 0:
            return token
    return slots.size if off_grid % grid_bytes else -1


def make_inputs(
    rng: np.random.Generator, size: int, source: type, value_bytes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a random slab, ``size`` distinct places in it, the layers' places, random tokens."""
    heads, head_dim, start = _TOY_SHAPES[size % len(_TOY_SHAPES)]
    side = _TOY_BLOCK_TOKENS * heads * head_dim * value_bytes
    scales = _TOY_BLOCK_TOKENS * heads * 2 if value_bytes == 1 else 0
    starts = start + np.arange(_TOY_LAYERS)[:, None] * 2 * (side + scales)
    within = np.array([0, side, 2 * side, 2 * side + scales]) if scales else [0, side, 0, 0]
    places = (starts * ([1, 1, bool(scales), bool(scales)]) + within).astype(np.int64)
    n_slots = size // _TOY_BLOCK_TOKENS + 2
    block_bytes = start + _TOY_LAYERS * 2 * (side + scales)
    slab = rng.integers(0, 256, (n_slots, block_bytes + -block_bytes % 4), dtype=np.uint8)
    chosen = rng.permutation(n_slots * _TOY_BLOCK_TOKENS)[:size]
    shape = (2, size, _TOY_LAYERS, heads, head_dim)
    k_tokens, v_tokens = rng.standard_normal(shape, dtype=np.float32)
    if source is np.uint16:
        k_tokens, v_tokens = (x.astype(np.float16).view(np.uint16) for x in (k_tokens, v_tokens))
    slots, rows = chosen // _TOY_BLOCK_TOKENS, chosen % _TOY_BLOCK_TOKENS
    return slab, slots.astype(np.int64), rows.astype(np.int64), places, k_tokens, v_tokens


def bytes_moved(value_bytes: int, k_tokens: np.ndarray, v_tokens: np.ndarray) -> int:
    """Return the bytes read plus written, scales of int8 included."""
    written = (k_tokens.size + v_tokens.size) * value_bytes
    scales = 2 * (k_tokens.size + v_tokens.size) // max(k_tokens.shape[3], 1)
    return k_tokens.nbytes + v_tokens.nbytes + written + (scales if value_bytes == 1 else 0)
