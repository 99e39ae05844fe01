"""Replay a trace through two tiers, without bytes but through the cache's own bookkeeping.

Each request does what an engine does with `TieredKVCache`: it loads the longest known prefix,
fills the rest block by block, and lets go of all of it when it has ended.

Follows: Directory, which decides for the real cache as well; reads and writes end at once here.
Leaves out: time; the answer's blocks, which a trace names only when the next turn repeats them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.caching.trace import Trace
from workbench.tiering import eviction, write_policy
from workbench.tiering.tiered_kv_cache import CacheFullError, Directory, Tier

# The SSD tier reclaims its oldest segment, whatever it holds.
SSD_POLICY = "fifo"


@dataclass(frozen=True, slots=True)
class Tiers:
    """Two tiers and how they are run.

    Attributes
    ----------
    ram_blocks : int   blocks that memory holds, at least 2
    ssd_blocks : int   blocks that the SSD holds; 0: there is none
    policy : str       that evicts from memory, a name of `eviction.POLICIES`
    write : str        what goes to the SSD, a name of `write_policy.WRITE_POLICIES`
    """

    ram_blocks: int
    ssd_blocks: int
    policy: str = "lru"
    write: str = "write_through"


@dataclass(frozen=True, slots=True)
class TierOutcome:
    """What a replay counted, in blocks.

    Attributes
    ----------
    hot_hits, cold_hits : int64[n_requests]   leading blocks found in memory, on the SSD
    n_references : int                        blocks asked for
    n_written : int                           blocks written to the SSD
    n_uncached : int                          blocks of requests that memory alone could not hold
    """

    hot_hits: NDArray[np.int64]
    cold_hits: NDArray[np.int64]
    n_references: int
    n_written: int
    n_uncached: int

    @property
    def hits(self) -> NDArray[np.int64]:
        """Return the blocks found in either tier, by request."""
        return self.hot_hits + self.cold_hits

    @property
    def hit_rate(self) -> float:
        """Return hits over references, 0..1."""
        return int(self.hits.sum()) / max(1, self.n_references)


def simulate_tiers(
    trace: Trace, tiers: Tiers, keys: Mapping[int, bytes] | None = None
) -> TierOutcome:
    """Replay a whole trace through two tiers that start empty.

    Parameters
    ----------
    keys : mapping, optional   the real cache's key of each block; a sketch's counts depend on it

    Raises
    ------
    UsageError   for an unknown policy or a tier of no blocks

    Cost    about 6 us a block reference.
    """
    simulation = _Simulation(tiers, dict(keys or {}))
    for request in trace:
        simulation.serve(request.tolist())
    simulation.check()
    return simulation.outcome(trace)


class _Simulation:
    def __init__(self, tiers: Tiers, keys: dict[int, bytes]) -> None:
        self._ssd = eviction.create(SSD_POLICY, tiers.ssd_blocks) if tiers.ssd_blocks else None
        policy = eviction.create(tiers.policy, tiers.ram_blocks)
        if self._ssd is None:
            self._directory = Directory(policy, tiers.ram_blocks)
        else:
            # One slot more, as in the real cache: for a block on its way out.
            write = write_policy.create(tiers.write)
            is_stored = self._ssd.__contains__
            n_slots = tiers.ram_blocks + 1
            self._directory = Directory(policy, n_slots, write=write, is_stored=is_stored)
        self._keys = keys
        self._hot_hits: list[int] = []
        self._cold_hits: list[int] = []
        self._n_written = self._n_uncached = 0

    def serve(self, blocks: Sequence[int]) -> None:
        """Load what is known of a request, fill the rest, let go of all."""
        keys = [self._key(block) for block in blocks]
        n_held = self._load(keys)
        for key in keys[n_held:]:
            try:
                self._directory.admit(key)
            except CacheFullError:
                self._n_uncached += len(keys) - n_held
                break
            self._directory.claims.refer(key)
            self._settle()
            n_held += 1
        for key in reversed(keys[:n_held]):
            self._directory.unrefer(key)

    def _key(self, block: int) -> bytes:
        """Return a digest, as the real cache has them."""
        key = self._keys.get(block)
        if key is None:
            key = hashlib.sha256(block.to_bytes(8, "little")).digest()
            self._keys[block] = key
        return key

    def _load(self, keys: Sequence[bytes]) -> int:
        directory = self._directory
        known = keys[: len(directory.match(keys))]
        found = directory.use(known, self._settle)
        self._settle()
        for one in found:
            if one.fill is not None:
                directory.arrived(one.key, one.fill, whole=True)
        n_hot = sum(one.tier is Tier.HOT for one in found)
        self._hot_hits.append(n_hot)
        self._cold_hits.append(len(found) - n_hot)
        return len(found)

    def _settle(self) -> None:
        """End every write that was asked for."""
        for key in self._directory.take_writes():
            assert self._ssd is not None
            if key not in self._ssd:
                if len(self._ssd) >= self._ssd.capacity_blocks:
                    self._ssd.evict()
                self._ssd.insert(key)
                self._n_written += 1
            self._directory.written(key)

    def check(self) -> None:
        """Assert what must hold when no request is open."""
        self._directory.check()
        assert self._directory.leaving_blocks == self._directory.open_blocks == 0

    def outcome(self, trace: Trace) -> TierOutcome:
        """Return what was counted."""
        return TierOutcome(
            np.array(self._hot_hits, np.int64),
            np.array(self._cold_hits, np.int64),
            trace.n_references,
            self._n_written,
            self._n_uncached,
        )
