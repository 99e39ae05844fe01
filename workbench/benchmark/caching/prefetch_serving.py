"""Serve requests whose prefixes are cold, loading them on demand or ahead.

Requests wait in a queue, so their prefixes are known. Serving one means: load its prefix, then for
every layer gather its keys and values and attend one token to them, the work of a decode step. The
memory holds three prefixes of many, so each one is cold again when its turn comes.

Follows: CachedAttention's look-ahead; one cache, one policy and one disk for all variants.
Leaves out: the rest of the model, which would hide the reads behind more computing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kernels import block_gather
from workbench.benchmark import metrics
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_folder
from workbench.benchmark.statistics import Ratio
from workbench.benchmark.storage.device_watch import DeviceWatch
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.async_io.real_files import RealFiles
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.prefetch_policy import NoPrefetch, Predicted, PrefetchPolicy
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import (
    BlockLayout,
    CacheConfig,
    CachedSequence,
    CacheStats,
    TieredKVCache,
)

# SmolLM2-135M at fp16.
GEOMETRY = KVGeometry(layers=30, kv_heads=3, head_dim=64, dtype="float16")
LAYOUT = BlockLayout(GEOMETRY)

DEMAND = "on_demand"
LAYER_WISE = "layer_wise"
PREDICTED = "predicted"
PREDICTED_LAYER_WISE = "predicted_layer_wise"
VARIANTS = (DEMAND, LAYER_WISE, PREDICTED, PREDICTED_LAYER_WISE)

_MIB = 1 << 20
_SEGMENT_BYTES = 32 * _MIB
_PREFIXES_IN_MEMORY = 3

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """Requests a round, each with a prefix of its own; tokens of a prefix; interleaved rounds."""

    requests: int
    tokens: int
    rounds: int

    @property
    def prefix_blocks(self) -> int:
        """Return the blocks of one prefix."""
        return self.tokens // LAYOUT.block_tokens


@dataclass(frozen=True, slots=True)
class Serving:
    """What `measure` found.

    Attributes
    ----------
    samples : Samples     cases `VARIANTS`; work in requests
    waiting_frac : float  0..1; median part of serving on demand that was spent on waiting for reads
    metrics : DataFrame   rows prefetch_serving, requests/s
    table : DataFrame     one row a variant
    notes : tuple of str  what a reader must know beside the figures
    """

    samples: Samples
    waiting_frac: float
    metrics: pl.DataFrame
    table: pl.DataFrame
    notes: tuple[str, ...]

    def ratio(self, contender: str = PREDICTED, baseline: str = DEMAND) -> Ratio:
        """Return how many times the baseline's requests per second a variant serves."""
        return self.samples.ratio(contender, baseline)

    def best(self) -> str:
        """Return the variant that loads ahead with the highest median rate."""
        return max((PREDICTED, PREDICTED_LAYER_WISE), key=self.samples.median_rate)

    @property
    def limit(self) -> float:
        """Return the ratio at which reads and computing would overlap without a gap."""
        return 1 / max(self.waiting_frac, 1 - self.waiting_frac)


def measure(store: Path, plan: ServingPlan, seed: int = 0) -> Serving:
    """Serve the same requests with every variant, interleaved.

    Every value of every prefix is compared with what was stored once, before the timing; later ones
    by the SSD tier's own checksums.

    Raises
    ------
    MediumError   if the device was not proven to be reached, or a block was missed or not cold

    Cost    ``4 * (rounds + 1) * requests`` prefixes read, at 23 KB a token.
    """
    n_bytes = plan.requests * plan.prefix_blocks * LAYOUT.block_bytes
    with (
        scratch_folder(store, "prefetch", _capacity(n_bytes)) as folder,
        open_engine("auto", depth=32) as engine,
        _opened(folder, engine, plan) as cache,
    ):
        server = _Server(cache, plan, seed)
        watches = [
            DeviceWatch("segment", engine, engine.open(path, writable=False))
            for path in sorted(folder.glob("segment-*"))
        ]
        server.compare()
        for watch in watches:
            watch.chill()
        cases = [Case(name, server.runner(name), float(plan.requests)) for name in VARIANTS]
        with meter("prefetch", plan.rounds) as report:
            samples = interleave(cases, plan.rounds, report)
        for watch in watches:
            watch.conclude()
            watch.demand()
        waiting_frac = float(np.median(server.waiting_fracs[1:]))
    return Serving(
        samples, waiting_frac, _rows(samples), _table(samples), _notes(plan, waiting_frac)
    )


def _capacity(n_bytes: int) -> int:
    return (n_bytes * 3 // 2 // _SEGMENT_BYTES + 4) * _SEGMENT_BYTES


@contextmanager
def _opened(folder: Path, engine: RealFiles, plan: ServingPlan) -> Iterator[TieredKVCache]:
    n_bytes = plan.requests * plan.prefix_blocks * LAYOUT.block_bytes
    settings = SsdTierConfig(_capacity(n_bytes), _SEGMENT_BYTES, flush_every_s=None)
    config = CacheConfig(
        GEOMETRY,
        hot_bytes=(_PREFIXES_IN_MEMORY * plan.prefix_blocks + 1) * LAYOUT.block_bytes,
        high_watermark_frac=1.0,
        low_watermark_frac=1.0,
        write_queue_blocks=2 * plan.prefix_blocks,
        write_wait_s=30.0,
    )
    with SsdTier.open(folder, settings, engine) as tier, TieredKVCache(config, tier) as cache:
        yield cache


class _Server:
    """Stores a prefix for each request and serves them in their order, again and again."""

    def __init__(self, cache: TieredKVCache, plan: ServingPlan, seed: int) -> None:
        self._cache = cache
        self._plan = plan
        self._seed = seed
        starts = range(0, plan.requests * plan.tokens, plan.tokens)
        self._prompts = [list(range(start, start + plan.tokens)) for start in starts]
        self._keys = [cache.block_keys(prompt) for prompt in self._prompts]
        self._gather = block_gather.choose(GEOMETRY.dtype, "float32")
        heads = (GEOMETRY.kv_heads, GEOMETRY.head_dim)
        self._query = np.random.default_rng(seed).standard_normal(heads, np.float32)
        self._kv = np.zeros((2, plan.tokens, *heads), np.float32)
        for number in range(plan.requests):
            self._store(number)
        self.waiting_fracs: list[float] = []

    def _values(self, number: int) -> NDArray[np.float16]:
        """Return one prefix's keys and values, [2, tokens, layers, heads, head_dim], every time."""
        shape = (2, self._plan.tokens, GEOMETRY.layers, GEOMETRY.kv_heads, GEOMETRY.head_dim)
        rng = np.random.default_rng([self._seed, number])
        return rng.standard_normal(shape, np.float32).astype(np.float16)

    def _store(self, number: int) -> None:
        with self._cache.sequence() as sequence:
            sequence.append(self._prompts[number], *self._values(number))
        # Not `persist`, which would write what is being written behind a second time.
        if not self._cache.drain():
            raise MediumError(
                f"a prefix of {self._plan.tokens} tokens could not be written; check the disk"
            )

    def compare(self) -> None:
        """Load every prefix once and compare it with what was stored.

        Raises
        ------
        MediumError   if a value differs
        """
        for number, prompt in enumerate(self._prompts):
            values = self._values(number).astype(np.float32)
            with self._cache.load(prompt) as load:
                load.wait()
                self._demand_whole(load.sequence)
                for layer in range(GEOMETRY.layers):
                    self._gather_layer(load.sequence, layer)
                    if not np.array_equal(self._kv, values[:, :, layer]):
                        raise MediumError(
                            "a prefix came back with other values than were stored; "
                            "do not store anything on this disk, check it"
                        )

    def runner(self, variant: str) -> Callable[[], float]:
        """Return what serves all requests in one way and answers the seconds it took."""
        is_ahead = variant in (PREDICTED, PREDICTED_LAYER_WISE)
        policy = Predicted(self._plan.prefix_blocks) if is_ahead else NoPrefetch()
        is_layer_wise = variant in (LAYER_WISE, PREDICTED_LAYER_WISE)

        def run() -> float:
            before = self._cache.stats()
            start = perf_counter()
            waited_s = sum(
                self._serve(number, policy, is_layer_wise) for number in range(self._plan.requests)
            )
            taken_s = perf_counter() - start
            self._demand_cold(before, self._cache.stats())
            if variant == DEMAND:
                self.waiting_fracs.append(waited_s / taken_s)
            return taken_s

        return run

    def _serve(self, number: int, policy: PrefetchPolicy, is_layer_wise: bool) -> float:
        """Serve one request; return the seconds spent on waiting before its first layer."""
        start = perf_counter()
        with self._cache.load(self._prompts[number]) as load:
            load.wait(0 if is_layer_wise else None)
            waited_s = perf_counter() - start
            keys = self._keys[number]
            self._cache.prefetch(policy.want(keys, len(keys) - 1, self._keys[number + 1 :]))
            for layer in range(GEOMETRY.layers):
                if is_layer_wise:
                    load.wait(layer)
                self._layer(load.sequence, layer)
            self._demand_whole(load.sequence)
        return waited_s

    def _demand_whole(self, sequence: CachedSequence) -> None:
        if sequence.n_tokens != self._plan.tokens:
            raise MediumError(
                f"only {sequence.n_tokens} of {self._plan.tokens} tokens came back; "
                "see `workbench doctor` about the disk"
            )

    def _layer(self, sequence: CachedSequence, layer: int) -> Floats:
        """Gather one layer and attend one token to it."""
        self._gather_layer(sequence, layer)
        return _attend(self._query, *self._kv)

    def _gather_layer(self, sequence: CachedSequence, layer: int) -> None:
        k, v = self._kv
        at = 0
        for run in sequence.runs(layer):
            part = slice(at, at + run.n_tokens)
            places = np.array(run.places, np.int64)
            self._gather(k[part], v[part], run.memory, run.slots, places, LAYOUT.block_tokens)
            at += run.n_tokens

    def _demand_cold(self, before: CacheStats, after: CacheStats) -> None:
        """Raise MediumError unless every block was found, and read from the device once."""
        n_missed = after.misses - before.misses
        n_bytes = self._plan.requests * self._plan.prefix_blocks * LAYOUT.block_bytes
        n_read = after.ssd_read_bytes - before.ssd_read_bytes
        if n_missed or n_read != n_bytes:
            raise MediumError(
                f"{n_missed} blocks were missed, and {n_read:,} bytes instead of {n_bytes:,} were "
                "read from the device; see `workbench doctor` about the disk"
            )


def _attend(query: Floats, k: Floats, v: Floats) -> Floats:
    """Return what one token attends to, float32[kv_heads, head_dim]."""
    attended = np.empty_like(query)
    for head, one in enumerate(query):
        scores = k[:, head] @ one / np.float32(np.sqrt(one.size))
        weights = np.exp(scores - scores.max())
        attended[head] = weights @ v[:, head] / weights.sum()
    return attended


def _rows(samples: Samples) -> pl.DataFrame:
    return pl.concat(
        metrics.rows("prefetch_serving", "requests/s", samples.rate(name), variant=name)
        for name in VARIANTS
    )


def _table(samples: Samples) -> pl.DataFrame:
    rows = []
    for name in VARIANTS:
        ratio = samples.ratio(name, DEMAND)
        rows.append(
            {
                "variant": name,
                "ms per request": 1000 / samples.median_rate(name),
                "times on demand": ratio.median,
                "from": ratio.low,
                "to": ratio.high,
            }
        )
    return pl.DataFrame(rows)


def _notes(plan: ServingPlan, waiting_frac: float) -> tuple[str, ...]:
    mib = plan.prefix_blocks * LAYOUT.block_bytes / _MIB
    return (
        f"{plan.requests} requests a round, each with a prefix of {plan.tokens:,} tokens "
        f"({mib:,.0f} MiB at the real model's geometry), of which memory holds "
        f"{_PREFIXES_IN_MEMORY}",
        f"on demand, {waiting_frac:.0%} of the time goes into waiting for the device",
        "all prefixes were read from the device: O_DIRECT read back, mincore found nothing in "
        "memory, and the cache counted every block as read",
    )
