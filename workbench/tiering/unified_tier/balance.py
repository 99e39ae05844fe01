"""Move memory between a model's weights and its KV, never having both at once.

Follows: give back first, then hand over what was really given back; so the sum stays within the
budget at every moment, however long blocks take to leave.
Leaves out: how much is to move (split.py).
"""

from __future__ import annotations

import logging
import threading
import time

from workbench.errors import UsageError, WorkbenchError
from workbench.tiering.tiered_kv_cache import TieredKVCache
from workbench.tiering.unified_tier.served_model import AdjustableWeights
from workbench.tiering.unified_tier.split import WINDOW_TOKENS, Split, Stalls

_LOG = logging.getLogger(__name__)


class Balance:
    """The memory that one model's weights and KV share. Safe between threads.

    Attributes
    ----------
    shared_bytes : int   theirs together
    n_moves : int        times that the target moved
    """

    def __init__(
        self, model: AdjustableWeights, cache: TieredKVCache, split: Split, shared_bytes: int
    ) -> None:
        """Begin with what both have now, which must be within ``shared_bytes``."""
        self.shared_bytes = shared_bytes
        self.n_moves = 0
        self._model, self._cache, self._split = model, cache, split
        self._asked_bytes = granted_to_weights(model)
        self._loads_s, self._n_tokens = 0.0, 0
        self._lock = threading.RLock()
        self._start = time.perf_counter()
        self._window_began = self._stalls()
        self.settle()

    @property
    def weights_bytes(self) -> int:
        """Return the memory that weights may take now."""
        return granted_to_weights(self._model)

    @property
    def target_bytes(self) -> int:
        """Return what KV is to have."""
        return self._split.kv_bytes

    def waited(self, seconds: float) -> None:
        """Note how long a load of keys and values took."""
        with self._lock:
            self._loads_s += seconds

    def feeding(self, n_tokens: int) -> None:
        """Make room before a pass, where nothing below memory could take what is in use."""
        if self._cache.has_cold_tier:
            return
        with self._lock:
            stats, size = self._cache.stats(), self._cache.layout.block_bytes
            # Every open sequence may begin another block; one more is copied on write.
            in_use = stats.hot_blocks_used + stats.open_blocks + stats.sequences + 1
            n_blocks = in_use + -(-n_tokens // self._cache.layout.block_tokens)
            if self._split.need(n_blocks * size):
                self.settle()

    def fed(self, n_tokens: int) -> bool:
        """Note a pass that is over; return whether memory is to move. Between two passes only."""
        with self._lock:
            self._n_tokens += n_tokens
            moved = False
            if self._n_tokens >= WINDOW_TOKENS:
                now = self._stalls()
                moved = self._split.observe(now.since(self._window_began))
                self._window_began, self._n_tokens = now, 0
            if moved:
                self.n_moves += 1
            self.settle()
            return moved

    def settle(self) -> None:
        """Come as near to the target as can be now. Between two passes only."""
        with self._lock:
            if self._cache.hot_bytes > self._split.kv_bytes:
                self._cache.set_hot_budget(self._split.kv_bytes)
            self._settle_weights()
            room = min(self._split.kv_bytes, self.shared_bytes - self.weights_bytes)
            if room >= self._cache.hot_bytes + self._cache.layout.block_bytes:
                self._cache.set_hot_budget(room)

    def _settle_weights(self) -> None:
        kv_bytes, target = self._cache.hot_bytes, self._split.kv_bytes
        wanted = min(self.shared_bytes - max(kv_bytes, target), self._model.weights_bytes)
        # More by and by would read layers again and again.
        is_worth = kv_bytes <= target or wanted >= self._asked_bytes + self._split.step_bytes
        if wanted < self._asked_bytes or (wanted > self._asked_bytes and is_worth):
            self._try_weights(wanted)

    def _try_weights(self, n_bytes: int) -> None:
        before = self.weights_bytes
        # Asked once: what could not be done is not tried again for every token.
        self._asked_bytes = n_bytes
        try:
            self._model.set_weights_budget(n_bytes)
        except UsageError:
            if n_bytes < before:
                # The model does not run with so little: it keeps what it has, for good.
                self._split.refuse_above(self.shared_bytes - before)
        except WorkbenchError as error:
            # Weights that cannot be read are the next pass's to tell of, not the last one's.
            _LOG.warning("the weights' budget stays: %s", error)

    def _stalls(self) -> Stalls:
        kv_s = self._loads_s + self._cache.cold_wait_s
        return Stalls(self._model.weights_wait_s, kv_s, time.perf_counter() - self._start)


def granted_to_weights(model: AdjustableWeights) -> int:
    """Return the memory that weights may take now: no more than there are."""
    return min(model.weights_bytes, model.weights_budget_bytes)
