"""The tiered KV cache: sequences' keys and values hot in memory, cold on the SSD tier.

Follows: a tier may forget, it may never lie; blocks are found again by what they hold.
Leaves out: the model (workbench/inference), codecs (compression) and encryption.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import UsageError
from workbench.tiering.closing import Closing
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.tiered_kv_cache.backfill import Backfill
from workbench.tiering.tiered_kv_cache.block_key import ROOT, BlockKeys
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier
from workbench.tiering.tiered_kv_cache.config import CacheConfig
from workbench.tiering.tiered_kv_cache.core import Core
from workbench.tiering.tiered_kv_cache.found import Tier
from workbench.tiering.tiered_kv_cache.layout import BlockLayout
from workbench.tiering.tiered_kv_cache.load import Load
from workbench.tiering.tiered_kv_cache.loading import Fill, LoadJob
from workbench.tiering.tiered_kv_cache.sequence import CachedSequence
from workbench.tiering.tiered_kv_cache.shared_store import Budget, SharedStore
from workbench.tiering.tiered_kv_cache.stats import CacheStats, gather

if TYPE_CHECKING:
    from workbench.tiering.distributed_tier import NetworkTier

# How long a load may take to bring blocks that only the network has.
_BRING_S = 0.5


class PrefixMatch(NamedTuple):
    """The longest run of blocks that a token list begins with.

    Attributes
    ----------
    n_tokens : int             in these blocks
    tiers : tuple of Tier      where each block is; the last one may be a partial one
    """

    n_tokens: int
    tiers: tuple[Tier, ...]


class TieredKVCache(Closing):
    """One open cache. Safe between threads; each sequence is for one thread at a time."""

    def __init__(
        self,
        config: CacheConfig,
        ssd: SsdTier | None = None,
        *,
        network: NetworkTier | None = None,
        fingerprint: bytes = b"",
        tenant: bytes = b"",
    ) -> None:
        """Take the memory; what the SSD tier holds from earlier runs is found by its prefix.

        Parameters
        ----------
        ssd : SsdTier or None   stays open when the cache is closed; None: memory only
        network : NetworkTier or None   shares blocks with other processes; stays open too
        fingerprint : bytes     of the model: architecture, weights, rope; any length
        tenant : bytes          a secret; blocks are found only by those who know it

        Raises
        ------
        UsageError   if the hot slab holds too few blocks, or the machine has not that much memory;
                     if there is a network tier and no SSD tier
        """
        if network is not None and ssd is None:
            raise UsageError("a network tier needs an SSD tier that it brings blocks to; give one")
        self.layout: BlockLayout = config.layout
        self._keys = BlockKeys(
            self.layout,
            fingerprint=fingerprint,
            tenant=tenant,
            codec=config.codec_id,
            layer_codecs=config.layer_codecs,
        )
        self._shared = None if ssd is None or network is None else SharedStore(ssd, network)
        store = self._shared or ssd
        cold = (
            None
            if store is None
            else ColdTier(store, self.layout, self._keys.attributes, config.codec)
        )
        self._core = Core(config, self._keys, cold)
        self._pinned: dict[str, list[bytes]] = {}
        self._closed = False

    # Sequences

    def sequence(self) -> CachedSequence:
        """Return a new, empty sequence; close it when it is not needed any more."""
        self._require_open()
        return CachedSequence(self._core)

    def match_prefix(self, token_ids: Sequence[int], network_budget_s: float = 0.0) -> PrefixMatch:
        """Return the longest run of blocks that is there, and in which tiers; changes nothing.

        Parameters
        ----------
        network_budget_s : float   for asking the network about what comes behind; 0: it is not
                                   asked, as that costs a round trip for each 256 frames
        """
        self._require_open()
        with self._core.changed:
            keys, n_tokens = self._known(token_ids)
            tiers = self._core.directory.match(keys)
        size = self.layout.block_tokens
        if self._shared is None or network_budget_s <= 0 or n_tokens % size:
            return PrefixMatch(n_tokens, tuple(tiers))
        beyond = self._keys.chain(token_ids)[len(tiers) :]
        n_there = self._shared.reachable(beyond, self.layout.n_frames, network_budget_s)
        tiers += [Tier.NETWORK] * n_there
        return PrefixMatch(n_tokens + n_there * size, tuple(tiers))

    def load(
        self,
        token_ids: Sequence[int],
        deadline_s: float | None = None,
        network: Budget | None = None,
    ) -> Load:
        """Begin to bring the longest known prefix into memory; return at once.

        Blocks are read layer by layer, the first layers of all blocks first. Those that find no
        room stay cold, and are attended from there. What only the network tier has is copied to the
        SSD tier before this returns, for half of the deadline or half a second at most.

        Parameters
        ----------
        deadline_s : float or None   what is not there by then is left out of the prefix
        network : Budget or None     less time for the network than that
        """
        self._require_open()
        end = None if deadline_s is None else time.monotonic() + deadline_s
        core = self._core
        brought = self._bring(token_ids, deadline_s, network)
        with core.changed:
            keys, n_tokens = self._known(token_ids)
            found = [
                one._replace(tier=Tier.NETWORK) if one.key in brought else one
                for one in core.directory.use(keys, core.await_slot)
            ]
            core.settle()
            size = self.layout.block_tokens
            n_absent = len(token_ids) // size - n_tokens // size
            core.counts.lookups += n_absent
            core.counts.misses_absent += n_absent
            fills = [Fill(one.key, one.fill) for one in found if one.fill is not None]
            job = LoadJob(fills, end)
            if fills and core.behind is not None:
                core.behind.loader.start(job)
            sequence = CachedSequence.of_prefix(core, token_ids[:n_tokens], keys)
        return Load(core, sequence, found, job)

    def _bring(
        self, token_ids: Sequence[int], deadline_s: float | None, budget: Budget | None
    ) -> frozenset[bytes]:
        """Copy blocks of a prefix that only the network has; return the keys of those that came.

        Nobody's lock is held meanwhile.
        """
        if self._shared is None:
            return frozenset()
        keys = self._keys.chain(token_ids)
        with self._core.changed:
            n_known = len(self._core.directory.match(keys))
        if n_known == len(keys):
            return frozenset()
        most_s = _BRING_S if deadline_s is None else min(_BRING_S, deadline_s / 2)
        given = budget or Budget(most_s, most_s)
        within = Budget(min(most_s, given.total_s), min(most_s, given.request_s))
        n_frames, attributes = self.layout.n_frames, self._keys.attributes
        return frozenset(self._shared.bring(keys[n_known:], n_frames, attributes, within))

    @property
    def brought_blocks(self) -> int:
        """Return how many blocks came over the network."""
        return 0 if self._shared is None else self._shared.brought_blocks

    def _known(self, token_ids: Sequence[int]) -> tuple[list[bytes], int]:
        """Return the keys of the blocks that are somewhere, and their tokens. The lock is held."""
        size = self.layout.block_tokens
        keys = self._keys.chain(token_ids)
        keys = keys[: len(self._core.directory.match(keys))]
        n_tokens = len(keys) * size
        if self._core.behind is None:
            return keys, n_tokens
        parent = keys[-1] if keys else ROOT
        # A persisted sequence may end anywhere within the next block.
        for stop in range(min(len(token_ids), n_tokens + size - 1), n_tokens, -1):
            tail = self._keys.key(parent, token_ids[n_tokens:stop])
            if self._core.directory.where(tail) is not None:
                return [*keys, tail], stop
        return keys, n_tokens

    def prefetch(self, keys: Sequence[bytes]) -> int:
        """Begin to bring cold blocks into memory, as far as there is room; return how many.

        Blocks that are hot, or nowhere, are passed over.
        """
        self._require_open()
        core = self._core
        with core.changed:
            cold = [key for key in keys if core.directory.where(key) is Tier.COLD]
            found = [core.directory.access(key) for key in cold]
            core.settle()
            fills = [Fill(one.key, one.fill) for one in found if one.fill is not None]
            if fills and core.behind is not None:
                core.behind.loader.start(LoadJob(fills, None))
        return len(fills)

    def backfill(self, token_ids: Sequence[int]) -> Backfill:
        """Begin to bring the known prefix into memory from its last block to its first.

        Only full blocks; `CachedSequence.attach` goes on with those that are here.
        """
        self._require_open()
        with self._core.changed:
            keys = self._keys.chain(token_ids)
            return Backfill(self._core, keys[: len(self._core.directory.match(keys))])

    def block_keys(self, token_ids: Sequence[int]) -> list[bytes]:
        """Return the keys of the full blocks of a token list."""
        return self._keys.chain(token_ids)

    # Keeping

    def pin(self, name: str, token_ids: Sequence[int]) -> None:
        """Keep the full blocks of a prefix hot, now or once they are, until `unpin`.

        Raises
        ------
        UsageError   if the name is taken, or pinned blocks would fill more than half of the slab
        """
        self._require_open()
        keys = self._keys.chain(token_ids)
        with self._core.changed:
            if name in self._pinned:
                raise UsageError(f"the name {name!r} is pinned already; unpin it first")
            n_pinned = sum(map(len, self._pinned.values())) + len(keys)
            if 2 * n_pinned > self._core.directory.capacity_blocks:
                raise UsageError(
                    f"{n_pinned} pinned blocks are more than half of the hot slab's "
                    f"{self._core.directory.capacity_blocks}; pin less or raise hot_bytes"
                )
            self._pinned[name] = keys
            for key in keys:
                self._core.directory.claims.pin(key)

    def unpin(self, name: str) -> None:
        """Let the blocks of a pinned prefix leave again.

        Raises
        ------
        UsageError   if there is no such name
        """
        with self._core.changed:
            if name not in self._pinned:
                raise UsageError(f"no prefix is pinned as {name!r}; pin it first")
            for key in self._pinned.pop(name):
                self._core.directory.claims.unpin(key)

    def set_hot_budget(self, n_bytes: int) -> int:
        """Keep hot blocks within another number of bytes; return the bytes that they have now.

        That is more than was asked for while blocks that may not leave, or wait to be written, are
        in the way: slots are given back as they free, and never given out again. What was given
        back the system has (Linux), but for the rounding to pages.

        Raises
        ------
        UsageError   if it is not within two blocks (one without an SSD tier) .. ``max_hot_bytes``
        """
        self._require_open()
        core, size = self._core, self.layout.block_bytes
        least, most = core.min_slots * size, core.slab.nbytes
        if not least <= n_bytes <= most:
            raise UsageError(
                f"a hot budget of {n_bytes:,} bytes is not within {least:,}..{most:,}; open the "
                "cache with another max_hot_bytes"
            )
        core.limit(n_bytes // size)
        return core.hot_bytes

    @property
    def has_cold_tier(self) -> bool:
        """Return whether blocks can leave memory without being forgotten."""
        return self._core.behind is not None

    @property
    def has_network(self) -> bool:
        """Return whether blocks may come over the network."""
        return self._shared is not None

    @property
    def hot_bytes(self) -> int:
        """Return the memory that hot blocks may take now."""
        return self._core.hot_bytes

    def drain(self, timeout_s: float = 60.0) -> bool:
        """Wait until all that is to be written behind was; return whether it was, in time."""
        behind = self._core.behind
        return behind is None or behind.writer.drain(timeout_s)

    # Telling

    @property
    def cold_wait_s(self) -> float:
        """Return the seconds that attention has waited for cold blocks."""
        behind = self._core.behind
        return 0.0 if behind is None else behind.stagings.waited_s

    def stats(self) -> CacheStats:
        """Return all counters and gauges."""
        return gather(self._core)

    def prometheus(self) -> str:
        """Return them as Prometheus text."""
        return self.stats().prometheus()

    def check(self) -> None:
        """Assert what must always hold."""
        with self._core.changed:
            self._core.directory.check()
            self.stats().check()

    def close(self) -> None:
        """Close open sequences, write what waits for that, stop; closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        with self._core.changed:
            for sequence in list(self._core.sequences):
                sequence.close()
        self._core.close()

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("the KV cache is closed; open another one on the same SSD tier")
