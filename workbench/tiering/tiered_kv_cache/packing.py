"""Pack new keys and values into their blocks, and get them out again as float32.

Follows: the block layout; the dtype that is kept is the geometry's, int8 with scales.
Leaves out: the loops (kernels/block_store.py); attention, which reads the blocks itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import block_store, block_widen
from kernels.block_target import Store
from workbench.phases import Phase
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache.layout import SCALE_BYTES, BlockLayout, LayerRun, Places
from workbench.tiering.tiered_kv_cache.slot_pool import Slots

Floats = NDArray[np.float32]
# Tokens that are attended to at once: float32; whole batches may come as they are kept, too.
Tokens = NDArray[np.float32] | NDArray[np.float16]

# Batches from here on are stored past the processor's cache, three times as fast (0.7 MB of K and
# as much of V measured); a token or two may be attended before they would have left it.
_PAST_CACHE_BYTES = 64 << 10
_COPIES = Phase("copies")
_widen = block_widen.KERNEL.variants["njit"]


class Packer:
    """Stores tokens in the blocks of one slab."""

    def __init__(
        self, geometry: KVGeometry, places: Sequence[Places], memory: NDArray[np.uint8]
    ) -> None:
        self._memory = memory
        self._geometry = geometry
        self._places = np.array(places, np.int64)
        self._row = (geometry.kv_heads, geometry.head_dim)
        self._stores: dict[tuple[np.dtype[Any], bool], Store] = {}

    def expect(self, k: Tokens, v: Tokens, shape: tuple[int, ...]) -> None:
        """Refuse what cannot be stored.

        Raises
        ------
        ValueError   naming what is wrong
        """
        self._choose(k.dtype, past_cache=False)
        for name, values in (("k", k), ("v", v)):
            if values.shape != shape or values.dtype != k.dtype or not values.flags.c_contiguous:
                raise ValueError(
                    f"{name} is {values.dtype}{list(values.shape)}, it must be a C-contiguous "
                    f"{k.dtype}{list(shape)}; see np.ascontiguousarray"
                )

    def store(self, slots: Slots, rows: Slots, layer: int, k: Tokens, v: Tokens) -> None:
        """Pack one layer of tokens, each into a row of a slot; they are attended to next.

        Parameters
        ----------
        k, v : float32[n_tokens, kv_heads, head_dim]

        Raises
        ------
        ValueError   if shape, dtype or contiguity are others; nothing is stored
        """
        self.expect(k, v, (len(slots), *self._row))
        store = self._choose(k.dtype, past_cache=False)
        places = self._places[layer : layer + 1]
        with _COPIES:
            store(self._memory, slots, rows, places, k[:, None], v[:, None])

    def store_all(self, slots: Slots, rows: Slots, k: Tokens, v: Tokens) -> None:
        """Pack all layers of tokens: float32[n_tokens, layers, kv_heads, head_dim]."""
        store = self._choose(k.dtype, past_cache=k.nbytes >= _PAST_CACHE_BYTES)
        with _COPIES:
            store(self._memory, slots, rows, self._places, k, v)

    def _choose(self, dtype: np.dtype[Any], *, past_cache: bool) -> Store:
        store = self._stores.get((dtype, past_cache))
        if store is None:
            store = block_store.choose(dtype, self._geometry.dtype, past_cache=past_cache)
            self._stores[dtype, past_cache] = store
        return store


def unpack(layout: BlockLayout, run: LayerRun, start: int, stop: int) -> tuple[Floats, Floats]:
    """Return the keys and values of the run's tokens from start to stop."""
    geometry = layout.geometry
    k, v = np.empty((2, stop - start, geometry.kv_heads, geometry.head_dim), np.float32)
    is_stored = run.dtype != layout.tile_dtype
    cut = run._replace(n_tokens=stop)
    for first, last, slot in _parts(layout, cut, start):
        begin = first % layout.block_tokens
        rows = slice(begin, begin + last - first)
        if is_stored:
            whole = _widened(layout, run, slot)
            k[first - start : last - start], v[first - start : last - start] = whole[:, rows]
            continue
        for values, side in ((k, "k"), (v, "v")):
            packed, scales = _side(layout, run, slot, side)
            values[first - start : last - start] = packed[rows]
            if scales is not None:
                values[first - start : last - start] *= scales[rows, :, None].astype(np.float32)
    return k, v


def _widened(layout: BlockLayout, run: LayerRun, slot: int) -> Floats:
    """Return K and V of a block that lies as a codec stored it, float32[2, block_tokens, ...]."""
    geometry, n_tokens = layout.geometry, layout.block_tokens
    sides = np.empty((2, n_tokens, geometry.kv_heads, geometry.head_dim), np.float32)
    places = np.array(run.places, np.int64)
    _widen(sides[0], sides[1], run.memory[slot], places, run.dtype, n_tokens)
    return sides


def clear(layout: BlockLayout, block: NDArray[np.uint8], n_tokens: int) -> None:
    """Zero everything behind a block's first tokens, in every layer."""
    for layer in range(layout.geometry.layers):
        where = block[None], np.zeros(1, np.int64), layout.places(layer)
        run = LayerRun(*where, n_tokens, layout.tile_dtype)
        for side in ("k", "v"):
            packed, scales = _side(layout, run, 0, side)
            packed[n_tokens:] = 0
            if scales is not None:
                scales[n_tokens:] = 0


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
