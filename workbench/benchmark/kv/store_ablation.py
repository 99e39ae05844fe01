"""Measure what each part of a store is worth, and how near it comes to a copy: Day 3's experiment.

Follows: ablation, all cases of a geometry interleaved round by round with the copies of the same
bytes; the story's store, one token a call in float32, is the baseline.
Leaves out: the cache around the store (append_rate.py) and the kernels (kernels/block_*.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import polars as pl

from kernels import block_copy, block_narrow, block_quantize, kv_store, kv_store_head_major
from workbench.benchmark import metrics
from workbench.benchmark.kv.kv_store import describe
from workbench.benchmark.kv.store_arena import CEILING, StoreArena, StorePlan
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.benchmark.statistics import MIN_ROUNDS, Ratio
from workbench.tiering.kv_geometry import SEED, KVGeometry

METRIC = "token_store"

FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"
BASELINE, COMPILED = "numpy_per_token", "compiled_batch"
BLOCKS, HALVES = "blocks", "float16"
VECTOR, NONTEMPORAL, THREADS, QUANTISED = "vector", "nontemporal", "threads", "int8"
# Parts switched on one by one.
LADDER = (BASELINE, COMPILED, BLOCKS, HALVES, VECTOR, NONTEMPORAL, THREADS, QUANTISED)
# Beside the ladder: float16 rings of either order, and float32 tokens converted on the way.
TOKEN_MAJOR, HEAD_MAJOR, CONVERTED = "ring_token_major", "ring_head_major", "float32_to_float16"
NUMPY = "numpy_per_layer"

# The models whose tokens are stored beside the story's.
GEOMETRIES: Mapping[str, KVGeometry] = {
    "seed": replace(SEED, dtype=FLOAT16),
    "smollm2-135m": KVGeometry(layers=30, kv_heads=3, head_dim=64, dtype=FLOAT16),
    "llama-70b": KVGeometry(layers=80, kv_heads=8, head_dim=128, dtype=FLOAT16),
}

WANTED_TOKENS_S = 50_000.0


class AblationArguments(Protocol):
    """What the experiment needs to know; Day 3's plan has these among others."""

    @property
    def hot_tokens(self) -> int:
        """Tokens of the seed geometry that a slab holds; other geometries take as many bytes."""

    @property
    def batch_tokens(self) -> int:
        """Tokens of the seed geometry a call; others take about as many bytes."""

    @property
    def store_tokens(self) -> int:
        """Tokens of the seed geometry a round and case; others take about as many bytes."""

    @property
    def threads(self) -> int:
        """Threads of the cases that have more than one."""

    @property
    def rounds(self) -> int:
        """Interleaved rounds, at least 10."""


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """Arguments for callers without a day; see `AblationArguments`."""

    hot_tokens: int = 128
    batch_tokens: int = 32
    store_tokens: int = 64
    threads: int = 2
    rounds: int = MIN_ROUNDS


def ceiling_name(dtype: str, threads: int) -> str:
    """Return the name of the best copy of a dtype's bytes on so many threads."""
    return f"{CEILING} {dtype}, {threads} thread{'s' if threads > 1 else ''}"


@dataclass(frozen=True, slots=True)
class GeometryStores:
    """One geometry's cases and their rounds; work in tokens.

    Attributes
    ----------
    geometry : KVGeometry
    plan : StorePlan
    threads : int      of the cases that have more than one
    samples : Samples  the ceilings among them, each the best of its copy kernels
    """

    name: str
    geometry: KVGeometry
    plan: StorePlan
    threads: int
    samples: Samples

    @property
    def best(self) -> str:
        """Return the fastest store of float16."""
        return max(NONTEMPORAL, THREADS, key=self.samples.median_rate)

    @property
    def ceiling(self) -> str:
        """Return the fastest copy of float16."""
        names = [ceiling_name(FLOAT16, threads) for threads in (1, self.threads)]
        return max(names, key=self.samples.median_rate)

    def rows(self) -> pl.DataFrame:
        """Return metric rows: tokens/s of every case and round."""
        case = f"geometry={self.name}"
        return pl.concat(
            metrics.rows(
                METRIC, "tokens/s", self.samples.rate(name), tier="hot", case=case, variant=name
            )
            for name in self.samples.seconds
        )


@dataclass(frozen=True, slots=True)
class StoreAblation:
    """What `measure` found: the seed geometry with the whole ladder, the others with its ends."""

    stores: tuple[GeometryStores, ...]

    @property
    def seed(self) -> GeometryStores:
        """Return the story's geometry."""
        return self.stores[0]

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows of all geometries."""
        return pl.concat(stores.rows() for stores in self.stores)

    def ratio(self, contender: str, baseline: str) -> Ratio:
        """Return how many times the baseline's tokens/s a case of the seed geometry stores."""
        return self.seed.samples.ratio(contender, baseline)

    def over_ceiling(self, stores: GeometryStores, name: str) -> Ratio:
        """Return a float16 case's part of the copy on as many threads."""
        threads = stores.threads if name == THREADS else 1
        return stores.samples.ratio(name, ceiling_name(FLOAT16, threads))


def measure(arguments: AblationArguments) -> StoreAblation:
    """Time every case of every geometry, each geometry's interleaved with its copies.

    Raises
    ------
    UsageError   if the plan makes no sense or does not fit into the free memory

    Cost    about 4 s with the smallest plan; ``3 MiB * hot_tokens`` of memory.
    """
    return StoreAblation(tuple(measure_geometry(name, arguments) for name in GEOMETRIES))


def measure_geometry(name: str, arguments: AblationArguments) -> GeometryStores:
    """Time the cases of one of `GEOMETRIES`."""
    geometry = GEOMETRIES[name]
    plan = plan_for(geometry, arguments)
    arena = StoreArena(geometry, plan)
    threads = arguments.threads
    cases = _ladder(arena, threads) if name == "seed" else _ends(arena, threads)
    dtypes = [(FLOAT16, 1), (FLOAT16, threads)] + ([(FLOAT32, 1)] if name == "seed" else [])
    return GeometryStores(name, geometry, plan, threads, beside_copies(arena, cases, dtypes))


def beside_copies(
    arena: StoreArena, cases: Sequence[Case], copies: Sequence[tuple[str, int]]
) -> Samples:
    """Time cases interleaved with copies; of each dtype and threads the best copy is kept.

    Returns
    -------
    samples : Samples   of the cases and, named by `ceiling_name`, of the copies; work in tokens
    """
    ceilings = {
        ceiling_name(dtype, threads): [
            replace(case, name=f"{case.name} {dtype} {threads}")
            for case in arena.ceilings(dtype, threads)
        ]
        for dtype, threads in copies
    }
    everything = [*cases, *(case for group in ceilings.values() for case in group)]
    rounds = arena.plan.rounds
    with meter(f"stores, {describe(arena.geometry)}", rounds) as report:
        samples = interleave(everything, rounds, on_round=report)
    kept = {case.name: case.name for case in cases}
    for ceiling, group in ceilings.items():
        kept[ceiling] = max((case.name for case in group), key=samples.median_rate)
    return Samples(
        {name: samples.seconds[source] for name, source in kept.items()},
        {name: samples.work[source] for name, source in kept.items()},
    )


def plan_for(geometry: KVGeometry, arguments: AblationArguments) -> StorePlan:
    """Return a plan that moves about as many bytes as the arguments say for the seed geometry."""
    seed_bytes = GEOMETRIES["seed"].bytes_per_token

    def as_many(tokens: int, multiple: int) -> int:
        found = tokens * seed_bytes // geometry.bytes_per_token
        return max(multiple, found // multiple * multiple)

    batch_tokens = arguments.batch_tokens
    while 2 * batch_tokens * geometry.bytes_per_token <= arguments.batch_tokens * seed_bytes:
        batch_tokens *= 2
    return StorePlan(
        hot_tokens=as_many(arguments.hot_tokens, max(64, batch_tokens)),
        batch_tokens=batch_tokens,
        store_tokens=as_many(arguments.store_tokens, batch_tokens),
        rounds=arguments.rounds,
    )


def _ladder(arena: StoreArena, threads: int) -> list[Case]:
    as_is, quantised = block_copy.KERNEL.variants, block_quantize.KERNEL.variants
    ring, past = kv_store.KERNEL.variants, "njit_nontemporal"
    narrowed, by_head = block_narrow.KERNEL.variants, kv_store_head_major.KERNEL.variants
    return [
        arena.ring(BASELINE, ring[kv_store.KERNEL.baseline], FLOAT32, at_once=False),
        arena.ring(COMPILED, ring["njit_scalar"], FLOAT32),
        arena.blocks(BLOCKS, as_is["njit_scalar"], FLOAT32, FLOAT32, 1),
        arena.blocks(HALVES, as_is["njit_scalar"], FLOAT16, FLOAT16, 1),
        arena.blocks(VECTOR, as_is["njit_vector"], FLOAT16, FLOAT16, 1),
        arena.blocks(NONTEMPORAL, as_is[past], FLOAT16, FLOAT16, 1),
        arena.blocks(THREADS, as_is[past], FLOAT16, FLOAT16, threads),
        arena.blocks(QUANTISED, quantised[past], FLOAT16, INT8, threads),
        arena.ring(TOKEN_MAJOR, ring[past], FLOAT16),
        arena.ring(HEAD_MAJOR, by_head[past], FLOAT16, head_major=True),
        arena.blocks(CONVERTED, narrowed[past], FLOAT32, FLOAT16, threads),
        arena.blocks(NUMPY, as_is[block_copy.KERNEL.baseline], FLOAT16, FLOAT16, 1),
    ]


def _ends(arena: StoreArena, threads: int) -> list[Case]:
    as_is, past = block_copy.KERNEL.variants, "njit_nontemporal"
    return [
        arena.blocks(NUMPY, as_is[block_copy.KERNEL.baseline], FLOAT16, FLOAT16, 1),
        arena.blocks(NONTEMPORAL, as_is[past], FLOAT16, FLOAT16, 1),
        arena.blocks(THREADS, as_is[past], FLOAT16, FLOAT16, threads),
    ]
