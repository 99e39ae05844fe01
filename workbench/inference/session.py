"""One text and its keys and values: resumed from what is cached, extended, kept for later.

Follows: a prefix that any earlier run left in the tiers is not computed again; what comes out is
the same either way, as no result depends on how tokens were batched.
Leaves out: choosing tokens (generate.py), and the cache's own limits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from workbench.inference.filling import fill_from_both_ends
from workbench.inference.forward import Floats
from workbench.inference.llama import LlamaModel
from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache import CachedSequence, Tier, TieredKVCache
from workbench.tiering.unified_tier.load_or_recompute import LoadOrRecompute, Way


class Session(Closing):
    """A text in a model's cache. For one thread at a time.

    Attributes
    ----------
    resumed_tokens : int   tokens of the first `feed` that were found in the cache
    """

    def __init__(
        self,
        model: LlamaModel,
        cache: TieredKVCache,
        deadline_s: float | None = None,
        chooser: LoadOrRecompute | None = None,
    ) -> None:
        """Begin an empty text.

        Parameters
        ----------
        model : LlamaModel
        cache : TieredKVCache         made with the model's geometry and fingerprint
        deadline_s : float or None    what is not read by then is computed
        chooser : LoadOrRecompute     decides how a cold prefix is got, and learns; None: it is read

        Raises
        ------
        UsageError   if the cache is not of the model's geometry
        """
        model.use_cache(cache.layout)
        self.resumed_tokens = 0
        self._model, self._cache, self._deadline_s = model, cache, deadline_s
        self._chooser = chooser
        self._sequence: CachedSequence | None = None

    @property
    def token_ids(self) -> list[int]:
        """Return the tokens so far."""
        return [] if self._sequence is None else self._sequence.token_ids

    def feed(self, token_ids: Sequence[int]) -> Floats:
        """Add tokens to the text; return the logits of what may follow, float32[vocab_size].

        The first call looks for the longest cached prefix of its tokens.

        Raises
        ------
        As `LlamaModel.forward`.
        """
        if self._sequence is None:
            # The last token is computed in any case, as its logits are not cached.
            self._sequence = self._resume(list(token_ids[:-1]))
            token_ids = token_ids[self._sequence.n_tokens :]
        self._model.use_cache(self._cache.layout)
        first, start = self._sequence.n_tokens, time.perf_counter()
        logits = self._model.forward(token_ids, self._sequence)
        if self._chooser is not None and len(token_ids) > 1:
            self._chooser.computed(first, self._sequence.n_tokens, time.perf_counter() - start)
        return logits

    def _resume(self, token_ids: list[int]) -> CachedSequence:
        way = self._way(token_ids)
        if way is Way.RECOMPUTE:
            return self._cache.sequence()
        if way is Way.BOTH:
            return self._fill(token_ids)
        start = time.perf_counter()
        load = self._cache.load(token_ids, self._deadline_s)
        self.resumed_tokens = load.wait()
        if self._chooser is not None:
            self._chooser.loaded(self.resumed_tokens, time.perf_counter() - start)
        return load.sequence

    def _fill(self, token_ids: list[int]) -> CachedSequence:
        filled = fill_from_both_ends(self._model, self._cache, token_ids)
        self.resumed_tokens = filled.loaded_tokens
        if self._chooser is not None:
            self._chooser.loaded(filled.read_tokens, filled.loading_s)
            self._chooser.computed(0, filled.computed_tokens, filled.computing_s)
        return filled.sequence

    def _way(self, token_ids: list[int]) -> Way:
        if self._chooser is None:
            return Way.LOAD
        match = self._cache.match_prefix(token_ids)
        if Tier.COLD not in match.tiers:
            return Way.LOAD
        return self._chooser.choose(match.n_tokens).way

    def persist(self) -> bool:
        """Write the text's keys and values to the SSD tier; return whether they can be resumed."""
        return self._sequence is not None and self._sequence.persist()

    def close(self) -> None:
        """Let go of the text; its full blocks can be found until they are evicted."""
        if self._sequence is not None:
            self._sequence.close()
