"""One text and its keys and values: resumed from what is cached, extended, kept for later.

Follows: a prefix that any earlier run left in the tiers is not computed again; what comes out is
the same either way, as no result depends on how tokens were batched.
Leaves out: choosing tokens (generate.py), and the cache's own limits.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.inference.forward import Floats
from workbench.inference.llama import LlamaModel
from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache import CachedSequence, TieredKVCache


class Session(Closing):
    """A text in a model's cache. For one thread at a time.

    Attributes
    ----------
    resumed_tokens : int   tokens of the first `feed` that were found in the cache
    """

    def __init__(
        self, model: LlamaModel, cache: TieredKVCache, deadline_s: float | None = None
    ) -> None:
        """Begin an empty text.

        Parameters
        ----------
        model : LlamaModel
        cache : TieredKVCache         made with the model's geometry and fingerprint
        deadline_s : float or None    what is not read by then is computed

        Raises
        ------
        UsageError   if the cache is not of the model's geometry
        """
        model.use_cache(cache.layout)
        self.resumed_tokens = 0
        self._model, self._cache, self._deadline_s = model, cache, deadline_s
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
            self._sequence = self._resume(token_ids)
            token_ids = token_ids[self.resumed_tokens :]
        self._model.use_cache(self._cache.layout)
        return self._model.forward(token_ids, self._sequence)

    def _resume(self, token_ids: Sequence[int]) -> CachedSequence:
        # The last token is computed in any case, as its logits are not cached.
        load = self._cache.load(list(token_ids[:-1]), self._deadline_s)
        self.resumed_tokens = load.wait()
        return load.sequence

    def persist(self) -> bool:
        """Write the text's keys and values to the SSD tier; return whether they can be resumed."""
        return self._sequence is not None and self._sequence.persist()

    def close(self) -> None:
        """Let go of the text; its full blocks can be found until they are evicted."""
        if self._sequence is not None:
            self._sequence.close()
