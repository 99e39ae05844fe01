"""Say what a forward pass and a sequence of cached keys and values owe each other.

Follows: the sequence interface of the tiered KV cache: extend, then store and runs layer by layer.
Leaves out: the two passes, integer_forward.py (fast) and exact_forward.py (float32 throughout).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.inference.weights import WeightsStats
from workbench.tiering.tiered_kv_cache import BlockLayout, LayerRun

Floats = NDArray[np.float32]


class KVSequence(Protocol):
    """The tokens so far and their keys and values; `CachedSequence` is one."""

    @property
    def n_tokens(self) -> int:
        """Return the tokens whose keys and values are there in every layer."""
        ...

    def extend(self, token_ids: Sequence[int]) -> None:
        """Reserve places for the next tokens."""
        ...

    def store(self, layer: int, k: Floats, v: Floats) -> None:
        """Store one layer's keys and values of these tokens."""
        ...

    def runs(self, layer: int) -> Iterator[LayerRun]:
        """Yield one layer's blocks in the order of their positions.

        A first layer whose first run holds all tokens, in whole blocks, stands for all layers.
        """
        ...

    def truncate(self, n_tokens: int) -> None:
        """Forget all tokens but the first so many."""
        ...


class Forward(Protocol):
    """A way to compute a model.

    Attributes
    ----------
    batch_tokens : int   the most tokens that `run` takes at once
    logit_rows : int     the most rows that `logits` gives at once
    """

    batch_tokens: int
    logit_rows: int

    def run(self, token_ids: Sequence[int], sequence: KVSequence) -> None:
        """Pass tokens through all layers; their keys and values go to the sequence."""
        ...

    def logits(self, first: int, n_rows: int) -> Floats:
        """Return the logits of some tokens of the last `run`, float32[n_rows, vocab_size].

        They are good until the next call of anything.
        """
        ...

    @property
    def queries(self) -> Floats:
        """Return the queries that attend next, float32[at least n_tokens, query_heads, head_dim].

        Good while a sequence is asked for the runs of their layer, which may be chosen by them.
        """
        ...

    def use_cache(self, layout: BlockLayout) -> None:
        """Say how the sequences to come hold keys and values."""
        ...

    @property
    def weights(self) -> WeightsStats:
        """Return where the weights are, and what it cost that not all are in memory."""
        ...

    def set_weights_budget(self, n_bytes: int) -> None:
        """Give the weights more or less memory, between passes."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
