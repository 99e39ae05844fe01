"""Day 3: how fast tokens can be stored, and what each part of the store is worth.

Follows: ablation from the story's store, one token a call in float32, to int8 on all threads.
Leaves out: how things are measured (workbench/benchmark/kv/store_ablation.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    import polars as pl

GeometryName = Literal["seed", "smollm2-135m", "llama-70b"]
BatchTokens = Literal[1, 8, 32, 64]


@dataclass(frozen=True, slots=True)
class Day03Plan:
    """What one preset measures, and how often.

    Attributes
    ----------
    hot_tokens : int     tokens of the seed geometry that a slab holds; others take as many bytes
    batch_tokens : int   tokens of the seed geometry a call; others about as many bytes
    store_tokens : int   tokens of the seed geometry a round and case
    threads : int        of the cases that have more than one
    rounds : int         timed rounds of every case, interleaved
    """

    hot_tokens: int
    batch_tokens: int
    store_tokens: int
    threads: int
    rounds: int


# Slab, tokens a round, rounds. The smallest slab of all, int8's of the tiny plan, is 32 MiB.
_SIZES: dict[Preset, tuple[int, int, int]] = {
    "tiny": (128, 32, 10),
    "standard": (512, 128, 20),
    "full": (1024, 256, 40),
}


class Day03Params(DayParams):
    """Parameters of Day 3."""

    batch_tokens: BatchTokens = param(32, "tokens a call", unit="tokens")
    threads: int = param(2, "threads of the threaded stores", unit="threads", ge=2, le=64)
    geometry: GeometryName = param("seed", "geometry shown in detail")
    rounds: int | None = param(None, "timed rounds; None: the preset's", ge=10, le=200)

    def plan(self) -> Day03Plan:
        """Return what the preset measures, with what was asked for in its place."""
        hot_tokens, store_tokens, rounds = _SIZES[self.preset]
        return Day03Plan(
            hot_tokens=hot_tokens,
            batch_tokens=self.batch_tokens,
            store_tokens=store_tokens,
            threads=self.threads,
            rounds=self.rounds or rounds,
        )


DAY03 = Day(
    name="day03",
    title="Day 3: SIMD store",
    question="How fast can tokens be stored, and what is each part of the store worth?",
    claim="A float16 store on all threads is at least 10x the story's store, where a copy is.",
    notebook="day03_simd_store.ipynb",
    params=Day03Params,
    cell_timeout_s=1200,
)


def measure_geometry(params: Day03Params) -> pl.DataFrame:
    """Measure one geometry on its own: a row a number of threads.

    Cost    about 2 s with preset tiny, 15 s with standard.
    """
    from workbench.benchmark.kv import store_ablation, store_tables

    found = store_ablation.measure_geometry(params.geometry, params.plan())
    return store_tables.geometries(store_ablation.StoreAblation((found,)))
