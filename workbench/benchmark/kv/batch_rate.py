"""Measure what the size of a batch does to the rate at which tokens are stored.

Follows: append_rate.py, the whole way through the cache; sizes are interleaved round by round with
the store kernel alone and with copies of the same bytes.
Leaves out: the SSD tier, which takes full blocks whatever batches they came in.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.kv import kv_store, store_ablation
from workbench.benchmark.kv.append_rate import Appender, AppendPlan, KernelAlone, config_of
from workbench.benchmark.kv.store_arena import StoreArena, StorePlan
from workbench.benchmark.paired import Case, Samples
from workbench.benchmark.statistics import Ratio
from workbench.tiering.kv_geometry import SEED, KVGeometry
from workbench.tiering.tiered_kv_cache import TieredKVCache

BATCHES_TOKENS = (1, 4, 16, 64)
APPEND, KERNEL = "append", "store_kernel"
CEILING = store_ablation.ceiling_name("float16", 1)
MODEL = KVGeometry(layers=30, kv_heads=3, head_dim=64, dtype="float16")
SEED_HALF = KVGeometry(SEED.layers, SEED.kv_heads, SEED.head_dim, "float16")

_LABELS = {KERNEL: "store kernel alone, 64", CEILING: "copy of the same bytes"}
# Tokens a copy: few, so that their bytes come from the nearest cache as a small batch's do.
_COPIED_TOKENS = 4


@dataclass(frozen=True, slots=True)
class BatchRate:
    """What `measure` found.

    Attributes
    ----------
    geometry : KVGeometry   of the tokens stored
    samples : Samples       cases: each batch size as text, `KERNEL`, `CEILING`; work in tokens
    metrics : DataFrame     rows batch_append, tokens/s
    table : DataFrame       one row a case
    """

    geometry: KVGeometry
    samples: Samples
    metrics: pl.DataFrame
    table: pl.DataFrame

    def ratio(self, contender: int, baseline: int) -> Ratio:
        """Return how many times the rate of one batch size another one reaches."""
        return self.samples.ratio(str(contender), str(baseline))


def measure(geometry: KVGeometry, n_blocks: int, rounds: int, seed: int = 0) -> BatchRate:
    """Append the same number of tokens in batches of every size, beside kernel and copies.

    Parameters
    ----------
    geometry : KVGeometry   dtype float16
    n_blocks : int          blocks of 64 tokens a sample
    rounds : int            at least 10

    Raises
    ------
    UsageError   if the slabs do not fit into memory

    Cost    ``8 * (rounds + 1)`` samples; ``7 * n_blocks + 4`` blocks of memory.
    """
    rng = np.random.default_rng(seed)
    with ExitStack() as stack:
        cases = []
        for batch_tokens in BATCHES_TOKENS:
            plan = AppendPlan(batch_tokens, n_blocks, rounds)
            shape = (2, batch_tokens, geometry.layers, geometry.kv_heads, geometry.head_dim)
            k, v = rng.standard_normal(shape, np.float32).astype(geometry.dtype)
            cache = stack.enter_context(TieredKVCache(config_of(geometry, plan)))
            work = float(n_blocks * cache.layout.block_tokens)
            cases.append(Case(str(batch_tokens), Appender(cache, plan, k, v).run, work))
        # The last size fills a block at once: nothing between the tokens but the store.
        cases.append(Case(KERNEL, KernelAlone(cache.layout, plan, k, v).run, work))
        tokens = n_blocks * cache.layout.block_tokens
        arena = StoreArena(geometry, StorePlan(tokens, _COPIED_TOKENS, tokens, rounds))
        samples = store_ablation.beside_copies(arena, cases, [("float16", 1)])
    return BatchRate(geometry, samples, _rows(geometry, samples), _table(geometry, samples))


def _rows(geometry: KVGeometry, samples: Samples) -> pl.DataFrame:
    shape = kv_store.describe(geometry)
    return pl.concat(
        metrics.rows(
            "batch_append",
            "tokens/s",
            samples.rate(name),
            tier="hot",
            case=f"geometry={shape}" + ("" if name in _LABELS else f" batch={name}"),
            variant=name if name in _LABELS else APPEND,
        )
        for name in samples.seconds
    )


def _table(geometry: KVGeometry, samples: Samples) -> pl.DataFrame:
    smallest = str(BATCHES_TOKENS[0])
    rows = []
    for name in samples.seconds:
        rate = samples.median_rate(name)
        rows.append(
            {
                "tokens a batch": _LABELS.get(name, name),
                "tokens/s": rate,
                "GB/s": rate * geometry.bytes_per_token / 1e9,
                "times batch of 1": samples.ratio(name, smallest).median,
                "of the copy": samples.ratio(name, CEILING).median,
            }
        )
    return pl.DataFrame(rows)
