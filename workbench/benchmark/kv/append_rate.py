"""Hold a batch's way through the whole KV cache against its store kernel alone.

Follows: the same tokens, the same pattern of slots and rows, the same kernel; what is left is the
cache's own work: places, keys, sealing, eviction.
Leaves out: the kernel against the memory's ceiling (its own benchmark), and the SSD tier.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from kernels import block_store
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, TieredKVCache
from workbench.tiering.tiered_kv_cache.packing import Tokens

# Case names.
APPENDED, KERNEL = "append through the cache", "store kernel alone"


@dataclass(frozen=True, slots=True)
class AppendPlan:
    """What is appended: tokens a batch, blocks a sample, rounds."""

    batch_tokens: int
    n_blocks: int
    rounds: int


def measure(geometry: KVGeometry, plan: AppendPlan, seed: int = 0) -> Samples:
    """Fill blocks batch by batch, through the cache and by the kernel alone; work is in tokens.

    The hot slab holds the blocks of one sample, so that from the second on every block takes the
    slot of one that has to leave.

    Raises
    ------
    UsageError   if the slabs do not fit into memory

    Cost    ``2 * (rounds + 1)`` samples, and twice ``n_blocks`` blocks of memory.
    """
    shape = (plan.batch_tokens, geometry.layers, geometry.kv_heads, geometry.head_dim)
    rng = np.random.default_rng([seed, plan.batch_tokens])
    k, v = (rng.standard_normal(shape, dtype=np.float32).astype(geometry.dtype) for _ in "kv")
    with TieredKVCache(config_of(geometry, plan)) as cache:
        appended = Appender(cache, plan, k, v)
        alone = KernelAlone(cache.layout, plan, k, v)
        work = float(plan.n_blocks * cache.layout.block_tokens)
        cases = [Case(APPENDED, appended.run, work), Case(KERNEL, alone.run, work)]
        with meter("append", plan.rounds) as on_round:
            return interleave(cases, plan.rounds, on_round)


def config_of(geometry: KVGeometry, plan: AppendPlan) -> CacheConfig:
    """Return a cache that holds one sample's blocks and the one that is being filled."""
    return CacheConfig(geometry, (plan.n_blocks + 1) * BlockLayout(geometry).block_bytes)


class Appender:
    """Appends batches to a new sequence of new tokens."""

    def __init__(self, cache: TieredKVCache, plan: AppendPlan, k: Tokens, v: Tokens) -> None:
        self._cache = cache
        self._tokens = (k, v)
        n_batches = plan.n_blocks * cache.layout.block_tokens // plan.batch_tokens
        # Every block holds other tokens than all before it, or it would be recognised.
        self._first_ids = itertools.count(0, plan.batch_tokens)
        self._n_batches = n_batches
        self._batch_tokens = plan.batch_tokens

    def run(self) -> float:
        """Fill the slab and return the seconds."""
        batches = [
            range(first, first + self._batch_tokens)
            for first in itertools.islice(self._first_ids, self._n_batches)
        ]
        with self._cache.sequence() as sequence:
            start = perf_counter()
            for token_ids in batches:
                sequence.append(token_ids, *self._tokens)
            return perf_counter() - start


class KernelAlone:
    """Stores the same batches in as many slots of a slab of its own."""

    def __init__(self, layout: BlockLayout, plan: AppendPlan, k: Tokens, v: Tokens) -> None:
        layers = range(layout.geometry.layers)
        places = np.array([layout.places(layer) for layer in layers], np.int64)
        self.slab = allocate(plan.n_blocks * layout.block_bytes).reshape(plan.n_blocks, -1)
        positions = np.arange(plan.n_blocks * layout.block_tokens).reshape(-1, plan.batch_tokens)
        self._store = block_store.choose(k.dtype, layout.geometry.dtype, past_cache=True)
        self._calls = [
            (self.slab, at // layout.block_tokens, at % layout.block_tokens, places, k, v)
            for at in positions
        ]

    def run(self) -> float:
        """Fill the slab and return the seconds."""
        start = perf_counter()
        for call in self._calls:
            self._store(*call)
        return perf_counter() - start
