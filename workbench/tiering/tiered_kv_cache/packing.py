"""Pack a layer's new keys and values into their blocks, and get them out again as float32.

Follows: the block layout; the dtype that is kept is the geometry's.
Leaves out: attention over the packed values, which reads the blocks itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.tiered_kv_cache.layout import SCALE_BYTES, BlockLayout, LayerRun

Floats = NDArray[np.float32]


def expect(k: Floats, v: Floats, shape: tuple[int, ...]) -> None:
    """Refuse arrays that are not what they should be.

    Raises
    ------
    ValueError   naming what is wrong
    """
    for name, values in (("k", k), ("v", v)):
        if values.shape != shape or values.dtype != np.float32:
            raise ValueError(
                f"{name} is {values.dtype}{list(values.shape)}, it must be float32{list(shape)}"
            )
        if not values.flags.c_contiguous:
            raise ValueError(f"{name} is not C-contiguous; pass np.ascontiguousarray({name})")


def store(layout: BlockLayout, run: LayerRun, start: int, k: Floats, v: Floats) -> None:
    """Pack one layer's new tokens, the first at a position within the run's first block."""
    geometry = layout.geometry
    expect(k, v, (run.n_tokens - start, geometry.kv_heads, geometry.head_dim))
    for first, stop, slot in _parts(layout, run, start):
        begin = first % layout.block_tokens
        rows = slice(begin, begin + stop - first)
        taken = slice(first - start, stop - start)
        for values, side in ((k[taken], "k"), (v[taken], "v")):
            packed, scales = _side(layout, run, slot, side)
            if scales is None:
                packed[rows] = values
            else:
                packed[rows], scales[rows] = quantised(values)


def unpack(layout: BlockLayout, run: LayerRun, start: int, stop: int) -> tuple[Floats, Floats]:
    """Return the keys and values of the run's tokens from start to stop."""
    geometry = layout.geometry
    k, v = np.empty((2, stop - start, geometry.kv_heads, geometry.head_dim), np.float32)
    cut = run._replace(n_tokens=stop)
    for first, last, slot in _parts(layout, cut, start):
        begin = first % layout.block_tokens
        rows = slice(begin, begin + last - first)
        for values, side in ((k, "k"), (v, "v")):
            packed, scales = _side(layout, run, slot, side)
            values[first - start : last - start] = packed[rows]
            if scales is not None:
                values[first - start : last - start] *= scales[rows, :, None].astype(np.float32)
    return k, v


def clear(layout: BlockLayout, block: NDArray[np.uint8], n_tokens: int) -> None:
    """Zero everything behind a block's first tokens, in every layer."""
    for layer in range(layout.geometry.layers):
        run = LayerRun(block[None], np.zeros(1, np.int64), layout.places(layer), n_tokens)
        for side in ("k", "v"):
            packed, scales = _side(layout, run, 0, side)
            packed[n_tokens:] = 0
            if scales is not None:
                scales[n_tokens:] = 0


def quantised(values: Floats) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Return int8 values and one float16 scale for each token and head."""
    scales = (np.abs(values).max(axis=-1) / 127).astype(np.float16)
    divisors = np.where(scales == 0, 1, scales).astype(np.float32)
    return np.clip(np.rint(values / divisors[..., None]), -127, 127).astype(np.int8), scales


def _parts(layout: BlockLayout, run: LayerRun, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each block with some of the tokens: the first, the one past them, its slot."""
    size = layout.block_tokens
    for number in range(start // size, -(-run.n_tokens // size)):
        first, stop = max(start, number * size), min(run.n_tokens, (number + 1) * size)
        yield first, stop, int(run.slots[number])


def _side(
    layout: BlockLayout, run: LayerRun, slot: int, side: str
) -> tuple[NDArray[np.generic], NDArray[np.float16] | None]:
    geometry = layout.geometry
    shape = (layout.block_tokens, geometry.kv_heads, geometry.head_dim)
    dtype = np.dtype(geometry.dtype)
    at = run.places.k if side == "k" else run.places.v
    row = run.memory[slot]
    n_bytes = layout.block_tokens * geometry.kv_heads * geometry.head_dim * dtype.itemsize
    packed = row[at : at + n_bytes].view(dtype).reshape(shape)
    if geometry.dtype != "int8":
        return packed, None
    at = run.places.k_scales if side == "k" else run.places.v_scales
    n_bytes = layout.block_tokens * geometry.kv_heads * SCALE_BYTES
    return packed, row[at : at + n_bytes].view(np.float16).reshape(shape[:2])
