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
from workbench.tiering.tiered_kv_cache.slot_pool import Slots

Floats = NDArray[np.float32]


class SelectiveSequence:
    """A `CachedSequence` some of whose cold blocks are passed over; results are approximate.

    With everything hot, or for several tokens at once, it is exact.

    Attributes
    ----------
    blocks_passable, blocks_chosen : int   blocks of layers that might have been passed over, and
                                           those of them that were attended
    """

    def __init__(
        self,
        sequence: CachedSequence,
        selection: Selection,
        queries: Callable[[], Floats],
        summaries: KeySummaries | None = None,
        *,
        passable: Callable[[], Slots] | None = None,
    ) -> None:
        """Take a sequence, which stays the caller's to close.

        Parameters
        ----------
        queries : callable                 returns float32[n >= 1, query_heads, head_dim], the
                                           queries whose runs are asked for: `LlamaModel.queries`
        summaries : KeySummaries or None   kept up to date; tokens that they lack are read once
        passable : callable or None        returns the numbers of the blocks that need not be
                                           attended, ascending; None: the cold ones
        """
        self._sequence, self._selection = sequence, selection
        self._queries, self._summaries = queries, summaries
        self._passable = sequence.cold_blocks if passable is None else passable
        self._n_new = 0
        self.blocks_passable = 0
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
        passable = self._passable()
        if self._n_new != 1 or not len(passable):
            return self._sequence.runs(layer)
        chosen = self._selection.choose(layer, self._queries()[0], passable)
        self.blocks_passable += len(passable)
        self.blocks_chosen += len(chosen)
        is_read = np.ones(self._sequence.n_blocks, bool)
        is_read[passable] = False
        is_read[chosen] = True
        runs = self._sequence.runs(layer, np.flatnonzero(is_read))
        return _first_apart(runs, self._sequence.layout.block_tokens)

    def truncate(self, n_tokens: int) -> None:
        """Forget all tokens but the first so many; as `CachedSequence.truncate`."""
        self._sequence.truncate(n_tokens)
        if self._summaries is not None:
            self._summaries.cut(n_tokens)


def _first_apart(runs: Iterator[LayerRun], block_tokens: int) -> Iterator[LayerRun]:
    """Yield the first run's first block on its own.

    A first layer that comes as one run of everything would stand for all layers.
    """
    run = next(runs)
    if len(run.slots) > 1:
        yield run._replace(slots=run.slots[:1], n_tokens=block_tokens)
        run = run._replace(slots=run.slots[1:], n_tokens=run.n_tokens - block_tokens)
    yield run
    yield from runs
