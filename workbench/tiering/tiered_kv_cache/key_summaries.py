"""Keep a little of every full block's keys in memory, enough to tell what a query would find there.

Follows: Quest (Tang et al., 2024) for the extremes; two bits a key between them, where asked for.
Leaves out: which blocks are read by it (selection.py), and keeping summaries on the SSD: those of
a sequence that was loaded are made by reading its blocks once.
"""

from __future__ import annotations

import copy
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kernels import block_scores, key_sketch
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

Floats = NDArray[np.float32]
Kind = Literal["bounds", "expected", "sketch"]
KINDS: tuple[Kind, ...] = ("bounds", "expected", "sketch")
_FIRST_BLOCKS = 16


class KeySummaries:
    """Of one sequence: each channel's extremes a block, and for ``sketch`` two bits a key.

    Attributes
    ----------
    kind : str   ``bounds``: the most that a key of a block could score; ``expected``: what its
                 keys would weigh if they were spread normally; ``sketch``: the keys by two bits
    """

    def __init__(self, layout: BlockLayout, kind: Kind = "sketch") -> None:
        """Begin empty.

        Raises
        ------
        UsageError   for another kind, or heads whose size is no multiple of 8
        """
        if kind not in KINDS or layout.geometry.head_dim % 8:
            raise UsageError(
                f"key summaries of kind {kind!r} for heads of {layout.geometry.head_dim} values: "
                f"use {', '.join(KINDS)} and a multiple of 8"
            )
        self.kind = kind
        self._size = layout.block_tokens
        self._layers = [_Layer(layout.geometry, self._size) for _ in range(layout.geometry.layers)]

    def n_tokens(self, layer: int) -> int:
        """Return the tokens whose keys were added to a layer."""
        one = self._layers[layer]
        return one.n_blocks * self._size + len(one.rest)

    @property
    def n_blocks(self) -> int:
        """Return the full blocks that are summarised in every layer."""
        return min(layer.n_blocks for layer in self._layers)

    @property
    def block_bytes(self) -> int:
        """Return the bytes that a block's summaries take, all layers together."""
        first = self._layers[0]
        n_bytes = first.lowest[:1].nbytes + first.highest[:1].nbytes
        if self.kind == "sketch":
            n_bytes += first.codes[:1].nbytes
        return len(self._layers) * n_bytes

    def add(self, layer: int, keys: Floats) -> None:
        """Take in the next tokens' keys, float32[n, kv_heads, head_dim]."""
        one, size = self._layers[layer], self._size
        keys = np.concatenate([one.rest, keys])
        full = len(keys) // size
        for start in range(0, full * size, size):
            one.append(keys[start : start + size], with_codes=self.kind == "sketch")
        one.rest = keys[full * size :].copy()

    def cut(self, n_tokens: int) -> None:
        """Forget what is not of the first so many tokens; of a block that is cut, all of it."""
        for layer in self._layers:
            n_blocks = n_tokens // self._size
            if n_blocks < layer.n_blocks:
                layer.n_blocks, layer.rest = n_blocks, layer.rest[:0]
            else:
                layer.rest = layer.rest[: n_tokens - layer.n_blocks * self._size]

    def copy(self) -> KeySummaries:
        """Return summaries of the same tokens that go their own way."""
        return copy.deepcopy(self)

    def weights(self, layer: int, query: Floats) -> Floats:
        """Estimate how a query's attention is spread over the full blocks.

        Parameters
        ----------
        query : float32[query_heads, head_dim]   turned by its position

        Returns
        -------
        float32[n_blocks, query_heads], each head's sum is 1; what is in no full block is left out

        Cost    sketch: about 60 us per 1,000 tokens and key-value head; the others a tenth.
        """
        one = self._layers[layer]
        low, high = one.lowest[: one.n_blocks], one.highest[: one.n_blocks]
        query = np.ascontiguousarray(query)
        if self.kind == "sketch":
            scores = np.empty((len(query), one.n_blocks * self._size), np.float32)
            key_sketch.score(query, low, high, one.codes[: one.n_blocks], scores)
            each = _softmax(scores, axis=1).reshape(len(query), one.n_blocks, self._size)
            return np.ascontiguousarray(each.sum(axis=2).T)
        scores = np.empty((one.n_blocks, len(query)), np.float32)
        kind = block_scores.BOUNDS if self.kind == "bounds" else block_scores.EXPECTED
        block_scores.score(query, low, high, kind, scores)
        return _softmax(scores, axis=0)


class _Layer:
    """One layer's summaries, in arrays that grow, and the keys of the block that is not full."""

    def __init__(self, geometry: KVGeometry, size: int) -> None:
        shape = (geometry.kv_heads, geometry.head_dim)
        self.n_blocks = 0
        self.rest: Floats = np.empty((0, *shape), np.float32)
        self.lowest = np.empty((_FIRST_BLOCKS, *shape), np.float16)
        self.highest = np.empty((_FIRST_BLOCKS, *shape), np.float16)
        n_bytes = geometry.head_dim // key_sketch.PER_BYTE
        self.codes = np.empty((_FIRST_BLOCKS, size, geometry.kv_heads, n_bytes), np.uint8)

    def append(self, keys: Floats, *, with_codes: bool) -> None:
        if self.n_blocks == len(self.lowest):
            for name in ("lowest", "highest", "codes"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.empty_like(old)]))
        number = self.n_blocks
        self.lowest[number] = _outwards(keys.min(axis=0), -1)
        self.highest[number] = _outwards(keys.max(axis=0), 1)
        if with_codes:
            low, high = self.lowest[number], self.highest[number]
            self.codes[number] = key_sketch.sketch(keys, low, high)
        self.n_blocks += 1


def _outwards(values: Floats, sign: int) -> NDArray[np.float16]:
    """Round to float16, never below (sign 1) or above (-1) the values: a bound has to hold."""
    near = values.astype(np.float16)
    falls_short = sign * near.astype(np.float32) < sign * values
    beyond = np.nextafter(near, np.float16(sign * np.inf))
    result: NDArray[np.float16] = np.where(falls_short, beyond, near)
    return result


def _softmax(scores: Floats, axis: int) -> Floats:
    weights = np.exp(scores - scores.max(axis=axis, keepdims=True, initial=-np.inf))
    result: Floats = weights / weights.sum(axis=axis, keepdims=True)
    return result
