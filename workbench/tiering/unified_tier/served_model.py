"""Say what the tiers need of a model: its shape, its name, and passes over cached sequences.

Follows: dependency inversion; models lie above the tiers and answer this without knowing it
(docs/adr/0008-the-library-s-door.md). `inference.LlamaModel` is one.
Leaves out: text, and choosing tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout, CachedSequence

Floats = NDArray[np.float32]


class ServedModel(Protocol):
    """A model that keeps its keys and values in a cache of ours; for one thread at a time."""

    @property
    def fingerprint(self) -> bytes:
        """Return what tells models whose keys and values differ apart."""

    def kv_geometry(self, dtype: str = ...) -> KVGeometry:
        """Return the shape of a token's keys and values, kept in a dtype."""

    def use_cache(self, layout: BlockLayout) -> None:
        """Note how the sequences of the calls to come hold keys and values."""

    def forward(self, token_ids: Sequence[int], sequence: CachedSequence) -> Floats:
        """Pass tokens through the model; return the last one's logits, float32[vocab_size]."""

    def prefill(self, token_ids: Sequence[int], sequence: CachedSequence) -> None:
        """Pass tokens through the model for their keys and values alone."""


@runtime_checkable
class AdjustableWeights(Protocol):
    """A model that can keep a part of its weights in memory and read the others when needed."""

    @property
    def weights_bytes(self) -> int:
        """Return the bytes of all weights."""

    @property
    def weights_budget_bytes(self) -> int:
        """Return the bytes that they may take in memory now."""

    @property
    def weights_wait_s(self) -> float:
        """Return the seconds that passes have waited for weights so far."""

    def set_weights_budget(self, n_bytes: int) -> None:
        """Keep to another budget from the next pass on; never more than it once this returns.

        Raises
        ------
        UsageError       if it is too small for the model; nothing has changed then
        WorkbenchError   if weights cannot be read; then either
        """
