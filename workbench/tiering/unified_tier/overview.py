"""Put one status together from what every tier says.

Follows: limits are the configuration's, uses are what the tiers say they have.
Leaves out: what states mean (status.py), noticing them (watch.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.tiering.distributed_tier import NetworkTier
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.tiered_kv_cache import CacheStats
from workbench.tiering.unified_tier.balance import Balance
from workbench.tiering.unified_tier.config import UnifiedTierConfig
from workbench.tiering.unified_tier.ram_plan import RamPlan
from workbench.tiering.unified_tier.serving import Serving
from workbench.tiering.unified_tier.status import Health, Memory, Status, TierStatus
from workbench.tiering.unified_tier.watch import State


@dataclass(frozen=True, slots=True)
class Parts:
    """What one UnifiedTier is made of; None for what there is not."""

    config: UnifiedTierConfig
    plan: RamPlan
    ssd: SsdTier | None
    network: NetworkTier | None
    serving: Serving | None

    @property
    def _balance(self) -> Balance | None:
        return None if self.serving is None else self.serving.balance

    def status(self, states: Mapping[str, State], sessions: int) -> Status:
        """Return how all of it is now."""
        cache = None if self.serving is None else self.serving.cache.stats()
        book = None if self.serving is None else self.serving.book
        memory = self._memory(cache)
        return Status(
            (self._ram(memory, cache), self._ssd(states, cache), self._network(states, cache)),
            memory,
            sessions,
            0 if book is None else book.n_forgotten,
            0 if self._balance is None else self._balance.n_moves,
        )

    def _memory(self, cache: CacheStats | None) -> Memory:
        buffers = 0
        if self.ssd is not None:
            buffers += self.ssd.stats().pool_bytes
        if self.network is not None:
            told = self.network.stats()
            buffers += told.pool_bytes + told.writes_waiting_bytes
        if cache is None or self.serving is None:
            return Memory(0, 0, 0, 0, buffers, 0)
        block, balance = self.serving.cache.layout.block_bytes, self.serving.balance
        return Memory(
            weights_bytes=0 if balance is None else balance.weights_bytes,
            kv_bytes=cache.hot_bytes,
            in_use_bytes=(cache.hot_blocks_used + cache.open_blocks) * block,
            prompt_cache_bytes=(cache.hot_blocks - cache.hot_blocks_used) * block,
            buffers_bytes=buffers + cache.staging_bytes,
            shared_bytes=0 if balance is None else balance.shared_bytes,
        )

    def _ram(self, memory: Memory, cache: CacheStats | None) -> TierStatus:
        used = memory.weights_bytes + memory.kv_bytes + memory.buffers_bytes
        limit = self.config.ram_bytes or self.plan.buffers_bytes + memory.kv_bytes
        rate = 0.0 if cache is None else _rate(cache.hot_hits, cache.lookups)
        return TierStatus("ram", True, Health.HEALTHY, "", used, limit, rate)

    def _ssd(self, states: Mapping[str, State], cache: CacheStats | None) -> TierStatus:
        state = states["ssd"]
        if self.ssd is None:
            return TierStatus("ssd", False, *state, 0, 0, 0.0)
        told = self.ssd.stats()
        rate = 0.0
        if cache is not None:
            # What came over the network was not here.
            rate = _rate(cache.cold_hits, cache.lookups - cache.hot_hits)
        return TierStatus("ssd", True, *state, told.disk_bytes, self.config.ssd_bytes, rate)

    def _network(self, states: Mapping[str, State], cache: CacheStats | None) -> TierStatus:
        state = states["network"]
        if self.network is None:
            return TierStatus("network", False, *state, 0, 0, 0.0)
        told = self.network.stats()
        rate = 0.0
        if cache is not None:
            rate = _rate(cache.network_hits, cache.network_hits + cache.misses_absent)
        limit = self.config.network_queue_bytes
        return TierStatus("network", True, *state, told.writes_waiting_bytes, limit, rate)


def _rate(hits: int, lookups: int) -> float:
    return hits / lookups if lookups > 0 else 0.0
