"""Say where tokens go within KV blocks, and refuse what would not fit, for all block stores.

Follows: workbench/tiering/tiered_kv_cache/layout.py, whose offsets come in as an array.
Leaves out: the storing itself (block_copy.py, block_narrow.py, block_quantize.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
from numba import njit

Store = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]

# Columns of `places`: where one layer's parts begin within a block, bytes.
K, V, K_SCALES, V_SCALES = range(4)

_TOY_LAYERS, _TOY_BLOCK_TOKENS = 2, 8
# KV heads, head dimension, bytes before the first layer: rows that end within a cache line, that
# fill whole ones, and that begin off the grid. Chosen by size in turn.
_TOY_SHAPES = ((3, 5, 0), (2, 64, 0), (3, 64, 36), (2, 100, 4), (1, 128, 64))


def checked(store: Store, sources: tuple[type, ...], value_bytes: int | None) -> Store:
    """Return a store that refuses what its loop cannot do; costs about ten microseconds a call.

    Parameters
    ----------
    store : callable      of one family
    sources : tuple       dtypes of tokens that it takes; float16 is handed on as uint16 bits
    value_bytes : int     bytes of a stored value, None if they are the source's; 1 is int8, whose
                          scales are stored too
    """

    @wraps(store)
    def run(
        slab: np.ndarray,
        slots: np.ndarray,
        rows: np.ndarray,
        places: np.ndarray,
        k_tokens: np.ndarray,
        v_tokens: np.ndarray,
    ) -> None:
        k_tokens, v_tokens = (_as_bits(tokens) for tokens in (k_tokens, v_tokens))
        _check_tokens(k_tokens, v_tokens, sources)
        n_tokens, n_layers, heads, head_dim = k_tokens.shape
        _expect("slab", slab, (-1, -1), np.uint8)
        for name, array in (("slots", slots), ("rows", rows)):
            _expect(name, array, (n_tokens,), np.int64)
        _expect("places", places, (n_layers, 4), np.int64)
        item_bytes = value_bytes or k_tokens.itemsize
        row_bytes = heads * head_dim * item_bytes
        scale_bytes = 2 * heads if item_bytes == 1 else 0
        misfit = first_misfit(slab.shape, slots, rows, places, row_bytes, scale_bytes)
        if misfit >= 0:
            raise ValueError(
                f"token {misfit} would lie outside the slab: slot {slots[misfit]} of "
                f"{slab.shape[0]}, row {rows[misfit]} of {row_bytes} bytes in blocks of "
                f"{slab.shape[1]}, from {places.min()} to {places.max()}"
            )
        _check_grid(slab, places, item_bytes)
        if k_tokens.size:
            store(slab, slots, rows, places, k_tokens, v_tokens)

    return run


def _as_bits(tokens: np.ndarray) -> np.ndarray:
    return tokens.view(np.uint16) if tokens.dtype == np.float16 else tokens


def _check_tokens(k_tokens: np.ndarray, v_tokens: np.ndarray, sources: tuple[type, ...]) -> None:
    if k_tokens.ndim != 4 or k_tokens.dtype not in sources:
        raise ValueError(
            f"k_tokens is {k_tokens.dtype}{list(k_tokens.shape)}; pass [n_tokens, n_layers, "
            f"kv_heads, head_dim] of {' or '.join(source.__name__ for source in sources)}"
        )
    _expect("k_tokens", k_tokens, k_tokens.shape, k_tokens.dtype)
    _expect("v_tokens", v_tokens, k_tokens.shape, k_tokens.dtype)


def _expect(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: object) -> None:
    fits = array.ndim == len(shape) and all(
        want in (-1, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        raise ValueError(
            f"{name} is {array.dtype}{list(array.shape)}; it must be {np.dtype(dtype)}{list(shape)}"  # type: ignore[call-overload]
        )
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} is not C-contiguous; pass np.ascontiguousarray({name})")


def _check_grid(slab: np.ndarray, places: np.ndarray, item_bytes: int) -> None:
    """Refuse values, or scales, off the grid of their size: some processors cannot address them."""
    grid = max(item_bytes, 2)
    if (slab.ctypes.data | slab.shape[1]) % grid or (places % grid).any():
        raise ValueError(
            f"blocks and places must be multiples of {grid} bytes: block_bytes={slab.shape[1]}, "
            f"places {places.tolist()}"
        )


@njit(cache=True, nogil=True)
def first_misfit(slab_shape, slots, rows, places, row_bytes, scale_bytes):
    """Return the first token that would not lie within the slab, or -1."""
    first, last, last_scales = np.int64(0), np.int64(0), np.int64(0)
    for layer in range(places.shape[0]):
        first = min(first, places[layer].min())
        last = max(last, places[layer, K], places[layer, V])
        last_scales = max(last_scales, places[layer, K_SCALES], places[layer, V_SCALES])
    most_rows = (slab_shape[1] - last) // row_bytes if row_bytes else 0
    if scale_bytes:
        most_rows = min(most_rows, (slab_shape[1] - last_scales) // scale_bytes)
    for token in range(slots.size):
        if not (0 <= slots[token] < slab_shape[0] and 0 <= rows[token] < most_rows and first == 0):
            return token
    return -1


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
