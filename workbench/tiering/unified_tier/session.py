"""One text and its keys and values: resumed from what is cached, extended, kept for later.

Follows: a prefix that any earlier run left in the tiers is not computed again; what comes out is
the same either way, as no result depends on how tokens were batched.
Leaves out: choosing tokens (inference/generate.py), and the cache's own limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache import (
    BlockLostError,
    Budget,
    CachedSequence,
    Tier,
    TieredKVCache,
)
from workbench.tiering.unified_tier.filling import fill_from_both_ends
from workbench.tiering.unified_tier.load_or_recompute import LoadOrRecompute, Way
from workbench.tiering.unified_tier.served_model import Floats, ServedModel

# Each time something was computed again; what is lost so often has no tier to be kept in.
_TRIES = 4
# Of the time that computing takes, what the network may cost in vain; and one request at most.
_NETWORK_FRAC, _NETWORK_REQUEST_S = 0.5, 0.05


@dataclass(frozen=True, slots=True)
class Hooks:
    """What others want to know of a session.

    Attributes
    ----------
    waited : callable    told the seconds that a load of keys and values took
    feeding : callable   told how many tokens a `feed` adds, before its pass
    fed : callable       told how many tokens a `feed` computed, after it, between two passes
    keep : callable      writes the text's record down, once its blocks are; returns whether it did
    keeps : bool         whether closing persists the text
    closed : callable    told which session is over
    """

    waited: Callable[[float], None] = lambda seconds: None
    feeding: Callable[[int], None] = lambda n_tokens: None
    fed: Callable[[int], object] = lambda n_tokens: None
    keep: Callable[[list[int]], bool] = lambda token_ids: True
    keeps: bool = False
    closed: Callable[[Session], None] = lambda session: None


_NO_HOOKS = Hooks()


class Session(Closing):
    """A text in a model's cache. For one thread at a time.

    Attributes
    ----------
    resumed_tokens : int      tokens of the first `feed` that were found in the cache
    recomputed_tokens : int   tokens whose blocks were lost while they were open
    """

    def __init__(
        self,
        model: ServedModel,
        cache: TieredKVCache,
        deadline_s: float | None = None,
        chooser: LoadOrRecompute | None = None,
        hooks: Hooks = _NO_HOOKS,
        token_ids: Sequence[int] = (),
    ) -> None:
        """Begin a text.

        Parameters
        ----------
        model : ServedModel
        cache : TieredKVCache         made with the model's geometry and fingerprint
        deadline_s : float or None    what is not read by then is computed
        chooser : LoadOrRecompute     decides how a cold prefix is got, and learns; None: it is read
        hooks : Hooks
        token_ids : sequence of int   the text so far; looked for at the first `feed`

        Raises
        ------
        UsageError   if the cache is not of the model's geometry
        """
        model.use_cache(cache.layout)
        self.resumed_tokens = self.recomputed_tokens = 0
        self._model, self._cache, self._deadline_s = model, cache, deadline_s
        self._chooser, self._hooks = chooser, hooks
        self._text = list(token_ids)
        self._sequence: CachedSequence | None = None
        self._closed = False

    @property
    def token_ids(self) -> list[int]:
        """Return the tokens so far."""
        return list(self._text)

    def feed(self, token_ids: Sequence[int]) -> Floats:
        """Add tokens to the text; return the logits of what may follow, float32[vocab_size].

        The first call looks for the longest cached prefix of the text so far and its tokens.

        Raises
        ------
        As the model's `forward`; blocks that are lost are computed again.
        """
        n_before = len(self._text)
        self._text += token_ids
        try:
            n_new = len(self._text) if self._sequence is None else len(token_ids)
            self._hooks.feeding(n_new)
            if self._sequence is None:
                # The last token is computed in any case, as its logits are not cached.
                self._sequence = self._resume(self._text[:-1])
            self._model.use_cache(self._cache.layout)
            logits = self._forward(self._sequence)
        except BaseException:
            n_there = 0 if self._sequence is None else self._sequence.n_tokens
            del self._text[max(n_before, n_there) :]
            raise
        self._hooks.fed(len(token_ids))
        return logits

    def _forward(self, sequence: CachedSequence) -> Floats:
        """Compute what the sequence lacks of the text, again if blocks are lost on the way."""
        for tries_left in reversed(range(_TRIES)):
            first, start = sequence.n_tokens, time.perf_counter()
            try:
                logits = self._model.forward(self._text[first:], sequence)
            except BlockLostError:
                if not tries_left:
                    raise
                self.recomputed_tokens += max(0, first - sequence.n_tokens)
                continue
            if self._chooser is not None and len(self._text) - first > 1:
                self._chooser.computed(first, len(self._text), time.perf_counter() - start)
            return logits
        raise AssertionError("the last try returns or raises")

    def _resume(self, token_ids: list[int]) -> CachedSequence:
        way = self._way(token_ids)
        if way is Way.RECOMPUTE:
            return self._cache.sequence()
        if way is Way.BOTH:
            return self._fill(token_ids)
        start = time.perf_counter()
        load = self._cache.load(token_ids, self._deadline_s, self._network_budget(token_ids))
        self.resumed_tokens = load.wait()
        self._loaded(self.resumed_tokens, time.perf_counter() - start)
        return load.sequence

    def _network_budget(self, token_ids: list[int]) -> Budget | None:
        """Return how long the network may take to bring what no nearer tier has; None: unknown."""
        if self._chooser is None or not self._cache.has_network:
            return None
        n_here = self._cache.match_prefix(token_ids).n_tokens
        recompute_s = self._chooser.recompute_s(n_here, len(token_ids))
        if recompute_s is None:
            return None
        worth_s = _NETWORK_FRAC * recompute_s
        return Budget(worth_s, min(_NETWORK_REQUEST_S, worth_s))

    def _fill(self, token_ids: list[int]) -> CachedSequence:
        try:
            filled = fill_from_both_ends(self._model, self._cache, token_ids)
        except BlockLostError:
            return self._cache.sequence()
        self.resumed_tokens = filled.loaded_tokens
        self._loaded(filled.read_tokens, filled.loading_s)
        if self._chooser is not None:
            self._chooser.computed(0, filled.computed_tokens, filled.computing_s)
        return filled.sequence

    def _loaded(self, n_tokens: int, seconds: float) -> None:
        self._hooks.waited(seconds)
        if self._chooser is not None:
            self._chooser.loaded(n_tokens, seconds)

    def _way(self, token_ids: list[int]) -> Way:
        if self._chooser is None:
            return Way.LOAD
        match = self._cache.match_prefix(token_ids)
        if Tier.COLD not in match.tiers:
            return Way.LOAD
        return self._chooser.choose(match.n_tokens).way

    def persist(self) -> bool:
        """Write the text's keys and values to the SSD tier; return whether they can be resumed."""
        if self._sequence is None or not self._sequence.persist():
            return False
        return self._hooks.keep(self._text)

    def close(self) -> None:
        """Let go of the text; its full blocks can be found until they are evicted.

        One that was made by name is persisted first.
        """
        if self._closed:
            return
        self._closed = True
        if self._hooks.keeps:
            self.persist()
        if self._sequence is not None:
            self._sequence.close()
        self._hooks.closed(self)
