"""A sequence whose keys and values a codec has coded before anything attends to them.

Follows: what the forward pass asks of a sequence; blocks are coded layer by layer where they lie.
Leaves out: the cold tier, which codes whole frames on their way to the SSD.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.tiering import compression
from workbench.tiering.compression import Codec, Kept
from workbench.tiering.tiered_kv_cache import BlockLayout, CachedSequence, LayerRun

Floats = NDArray[np.float32]


class CodedSequence:
    """A sequence whose blocks go through a codec layer by layer, before they are attended."""

    def __init__(self, sequence: CachedSequence, codec: str, layout: BlockLayout) -> None:
        self._sequence, self._layout = sequence, layout
        # One layer a frame; its pages may be more than the layer's bytes.
        one = BlockLayout(replace(layout.geometry, layers=1), layout.block_tokens, 1)
        self._codec: Codec = compression.create(codec, one)
        self._frame = np.zeros(one.frame_bytes, np.uint8)
        self._stored = np.zeros(self._codec.max_stored_bytes, np.uint8)

    @property
    def n_tokens(self) -> int:
        """Return the tokens that are there in every layer."""
        return self._sequence.n_tokens

    def extend(self, token_ids: Sequence[int]) -> None:
        """Reserve places; whole blocks, or the last part of the text."""
        self._sequence.extend(token_ids)

    def store(self, layer: int, k: Floats, v: Floats) -> None:
        """Store one layer of a block, and code it where it lies."""
        self._sequence.store(layer, k, v)
        for run in self._sequence.runs(layer):
            last = run
        at, n_bytes = last.places.k, self._layout.layer_bytes
        row = last.memory[last.slots[-1], at : at + n_bytes]
        n_last = last.n_tokens - (len(last.slots) - 1) * self._layout.block_tokens
        values = row.view(np.uint16).reshape(2, self._layout.block_tokens, -1)
        values[:, n_last:] = 0
        self._frame[:n_bytes] = row
        is_first = self.n_tokens < self._layout.block_tokens
        kept = Kept(self._layout.block_tokens if is_first else 0)
        n_stored = self._codec.encode(self._frame, 0, self._stored, kept)
        self._codec.decode(self._stored[:n_stored], 0, self._frame)
        row[:] = self._frame[:n_bytes]

    def runs(self, layer: int) -> Iterator[LayerRun]:
        """Yield one layer's blocks."""
        return self._sequence.runs(layer)

    def truncate(self, n_tokens: int) -> None:
        """Forget all tokens but the first so many."""
        self._sequence.truncate(n_tokens)
