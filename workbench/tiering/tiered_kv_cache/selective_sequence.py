"""A sequence that decodes from all that is in memory and from a choice of what is cold.

Follows: Quest (Tang et al., 2024): prefill attends to everything, single tokens to what they need.
Leaves out: the choice (selection.py) and the summaries that it goes by (key_summaries.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.tiered_kv_cache.key_summaries import KeySummaries
from workbench.tiering.tiered_kv_cache.layout import LayerRun
from workbench.tiering.tiered_kv_cache.selection import Selection
from workbench.tiering.tiered_kv_cache.sequence import CachedSequence

Floats = NDArray[np.float32]


class SelectiveSequence:
    """A `CachedSequence` some of whose cold blocks are passed over; results are approximate.

    With everything hot, or for several tokens at once, it is exact.

    Attributes
    ----------
    blocks_cold, blocks_chosen : int   cold blocks of layers that were asked for, and those read
    """

    def __init__(
        self,
        sequence: CachedSequence,
        selection: Selection,
        queries: Callable[[], Floats],
        summaries: KeySummaries | None = None,
    ) -> None:
        """Take a sequence, which stays the caller's to close.

        Parameters
        ----------
        queries : callable                 returns float32[n >= 1, query_heads, head_dim], the
                                           queries whose runs are asked for: `LlamaModel.queries`
        summaries : KeySummaries or None   kept up to date; tokens that they lack are read once
        """
        self._sequence, self._selection = sequence, selection
        self._queries, self._summaries = queries, summaries
        self._n_new = 0
        self.blocks_cold = 0
        self.blocks_chosen = 0

    @property
    def n_tokens(self) -> int:
        """Return the tokens whose keys and values are there in every layer."""
        return self._sequence.n_tokens

    def extend(self, token_ids: Sequence[int]) -> None:
        """Reserve places for the next tokens; as `CachedSequence.extend`."""
        self._sequence.extend(token_ids)
        self._n_new = len(token_ids)

    def store(self, layer: int, k: Floats, v: Floats) -> None:
        """Store one layer's keys and values of these tokens; as `CachedSequence.store`."""
        n_before = self._sequence.n_tokens
        if self._summaries is not None:
            n_known = self._summaries.n_tokens(layer)
            if n_known < n_before:
                self._summaries.add(layer, self._sequence.gather(layer, n_known, n_before)[0])
            self._summaries.add(layer, k)
        self._sequence.store(layer, k, v)

    def runs(self, layer: int) -> Iterator[LayerRun]:
        """Yield the blocks that the newest token attends to; as `CachedSequence.runs`."""
        cold = self._sequence.cold_blocks()
        if self._n_new != 1 or not len(cold):
            return self._sequence.runs(layer)
        chosen = self._selection.choose(layer, self._queries()[0], cold)
        self.blocks_cold += len(cold)
        self.blocks_chosen += len(chosen)
        is_read = np.ones(self._sequence.n_blocks, bool)
        is_read[cold] = False
        is_read[chosen] = True
        return self._sequence.runs(layer, np.flatnonzero(is_read))

    def truncate(self, n_tokens: int) -> None:
        """Forget all tokens but the first so many; as `CachedSequence.truncate`."""
        self._sequence.truncate(n_tokens)
        if self._summaries is not None:
            self._summaries.cut(n_tokens)
