"""Measure what Week 1's targets are about, small, with the functions of the days themselves.

Follows: Day 1 (baselines, ceilings), Day 2 (restore), Day 3 (store), Day 4 (hits), Day 5 (latency).
Leaves out: the table (week_review.py) and the days' own, longer measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from workbench.benchmark import memory_ceiling, metrics
from workbench.benchmark.caching import tier_hits, trace_mooncake, trace_sessions
from workbench.benchmark.caching.cache_simulation import reachable_hit_rate
from workbench.benchmark.caching.tier_simulation import Tiers
from workbench.benchmark.caching.trace import Trace
from workbench.benchmark.caching.trace_sessions import Sessions
from workbench.benchmark.inference import decode_latency
from workbench.benchmark.inference.decode_latency import DecodeLatency, LatencyPlan
from workbench.benchmark.kv import append_rate, hot_slab, kv_store
from workbench.benchmark.kv.append_rate import AppendPlan
from workbench.benchmark.memory_ceiling import MemoryCeiling
from workbench.benchmark.storage import restore
from workbench.benchmark.storage.restore import RestorePlan
from workbench.benchmark.storage.restore_variants import SYNCHRONOUS
from workbench.benchmark.storage.restore_workloads import SEQUENTIAL
from workbench.benchmark.week import targets
from workbench.benchmark.week.targets import (
    FOOTPRINT,
    HIT_RATE,
    KV_STORE,
    LATENCY,
    LATENCY_P50,
    STORAGE,
)
from workbench.benchmark.week.week_review import Measured
from workbench.errors import DataError
from workbench.tiering.kv_geometry import SEED
from workbench.tiering.mmap_gguf import read_header
from workbench.tiering.tiered_kv_cache import BlockLayout

_BATCH_TOKENS = 32
_HOT_TOKENS, _COLD_TOKENS = 1024, 512
# Blocks of 512 tokens: of Llama 3.1 8B at float16 64 MiB each, so 12.5 GiB and 125 GiB.
_TIERS = Tiers(ram_blocks=200, ssd_blocks=2000)
_CONVERSATIONS = "mooncake-conversation"


@dataclass(frozen=True, slots=True)
class WeekPlan:
    """How much is measured for the targets.

    Attributes
    ----------
    restore_tokens, fio_ms : int           of the storage line
    rounds : int                           of the storage and the store line, at least 10
    store_tokens, store_blocks : int       stored one by one a round; blocks stored in batches
    memory_mib : int                       of the memory ceilings
    sessions, requests : int               of the hit-rate lines: agents' sessions, chat requests
    latency : LatencyPlan                  of the fast pass
    baseline_tokens : int                  decoded by the exact one
    """

    restore_tokens: int
    fio_ms: int
    rounds: int
    store_tokens: int
    store_blocks: int
    memory_mib: int
    sessions: int
    requests: int
    latency: LatencyPlan
    baseline_tokens: int


@dataclass(frozen=True, slots=True)
class Week:
    """What `measure` found: the lines of the table, raw rows, and the latencies themselves."""

    lines: tuple[Measured, ...]
    metrics: pl.DataFrame
    latency: DecodeLatency


def measure(model: Path, store: Path, plan: WeekPlan, seed: int = 0) -> Week:
    """Measure every target's baseline, present value and ceiling.

    Parameters
    ----------
    model : Path   the real model's GGUF file
    store : Path   folder on the disk to measure

    Raises
    ------
    UsageError, MediumError, DataError, GGUFError   as the parts raise them; a trace that cannot be
                                                    had leaves its line unmeasured instead

    Cost    8 s with small figures, 40 s with the standard preset's.
    """
    memory = memory_ceiling.measure(plan.memory_mib, plan.rounds)
    found = [
        _storage(store, plan, seed),
        _store_rate(memory, plan),
        *(_hit_rate(name, plan, seed) for name in (trace_sessions.DATA_SET, _CONVERSATIONS)),
        _footprint(),
    ]
    latency, rows = _latency(model, memory, plan, seed)
    lines = (*(line for line, _ in found), *latency.lines)
    frames = [memory.metrics, *(frame for _, frame in found), rows]
    return Week(lines, pl.concat(frames), latency.now)


def _storage(store: Path, plan: WeekPlan, seed: int) -> tuple[Measured, pl.DataFrame]:
    restore_plan = RestorePlan(
        (SEQUENTIAL,),
        tokens=plan.restore_tokens,
        rounds=plan.rounds,
        fio_ms=plan.fio_ms,
        fio_runs=1,
    )
    found = restore.measure(store, restore_plan, seed)
    samples, best = found.groups[0].samples, found.best(SEQUENTIAL)
    rates = metrics.summary(found.metrics)
    fio = rates.filter(pl.col("variant").str.starts_with("fio"))["median"]
    how = f"device: one 16 KiB block at a time; {best.replace('_', ' ')}; fio's best"
    ceiling = None if fio.is_empty() else float(fio.to_numpy().max())
    baseline = samples.median_rate(SYNCHRONOUS) / 1e9
    now = samples.median_rate(best) / 1e9
    return Measured(STORAGE, baseline, now, ceiling, how), found.metrics


def _store_rate(memory: MemoryCeiling, plan: WeekPlan) -> tuple[Measured, pl.DataFrame]:
    one_by_one = kv_store.measure(SEED, 64, plan.store_tokens, plan.rounds)
    half = replace(SEED, dtype="float16")
    samples = append_rate.measure(half, AppendPlan(_BATCH_TOKENS, plan.store_blocks, plan.rounds))
    rates = samples.rate(append_rate.APPENDED)
    rows = metrics.rows(
        "kv_append", "tokens/s", rates, tier="hot", case="geometry=seed", variant="float16"
    )
    baseline = one_by_one.rates["numpy_per_layer"]
    ceiling = targets.store_ceiling_tokens_s(memory.metrics)
    how = (
        "seed geometry: NumPy, float32, a token at a time; through the whole cache, float16, "
        f"batches of {_BATCH_TOKENS}, one thread; the best copy of the same bytes, all threads"
    )
    line = Measured(KV_STORE, baseline, samples.median_rate(append_rate.APPENDED), ceiling, how)
    return line, pl.concat([one_by_one.metrics, rows])


def _hit_rate(name: str, plan: WeekPlan, seed: int) -> tuple[Measured, pl.DataFrame]:
    kind = "agents" if name == trace_sessions.DATA_SET else "chat"
    target = replace(HIT_RATE, name=f"{HIT_RATE.name}, {kind}")
    try:
        trace = _trace(name, plan, seed)
    except DataError as error:
        return Measured(target, None, None, None, str(error)), metrics.empty()
    found = tier_hits.measure(trace, _TIERS, policies=(), writes=())
    alone, tiered = (found.hit_rates[way] for way in (tier_hits.MEMORY_ALONE, _TIERS.write))
    how = (
        f"{name}, {len(trace):,} requests: memory alone ({_TIERS.ram_blocks} blocks of 512 "
        f"tokens); with {_TIERS.ssd_blocks:,} on the SSD; a cache that never evicts"
    )
    ceiling = 100 * reachable_hit_rate(trace)
    rows = found.metrics.with_columns(case=pl.lit(f"trace={name}"))
    return Measured(target, 100 * alone, 100 * tiered, ceiling, how), rows


def _trace(name: str, plan: WeekPlan, seed: int) -> Trace:
    if name == trace_sessions.DATA_SET:
        return trace_sessions.read(Sessions(plan.sessions), seed)
    return trace_mooncake.read(name).head(plan.requests)


def _footprint() -> tuple[Measured, pl.DataFrame]:
    """Measure the test configuration's hot tier; its cold tier is added as the report counts it."""
    costs = {}
    for dtype in ("float32", "int8"):
        layout = BlockLayout(replace(SEED, dtype=dtype))
        n_blocks = _HOT_TOKENS // layout.block_tokens
        costs[dtype] = hot_slab.measure_slab(n_blocks * layout.block_bytes, rounds=1)
    rows = [cost.rows(f"model=seed tokens={_HOT_TOKENS}", dtype) for dtype, cost in costs.items()]
    with_cold = 1 + _COLD_TOKENS / _HOT_TOKENS
    baseline, now = (
        float(cost.rss_bytes["rewrite"][0]) * with_cold / 1e9 for cost in costs.values()
    )
    how = (
        f"{_HOT_TOKENS:,} hot tokens measured, {_COLD_TOKENS} cold ones added: float32; int8 with "
        "its scales"
    )
    target = replace(FOOTPRINT, name="memory footprint, test configuration")
    return Measured(target, baseline, now, None, how), pl.concat(rows)


@dataclass(frozen=True, slots=True)
class _Latencies:
    lines: tuple[Measured, ...]
    now: DecodeLatency


def _latency(
    model: Path, memory: MemoryCeiling, plan: WeekPlan, seed: int
) -> tuple[_Latencies, pl.DataFrame]:
    exact = decode_latency.baseline(model, plan.baseline_tokens, seed)
    now = decode_latency.measure(model, plan.latency, seed=seed)
    n_bytes = sum(read_header(model).weight_bytes().values())
    read_gb_s = max(memory.read_gb_s(threads) for threads in memory.threads)
    ceiling_ms = n_bytes / (read_gb_s * 1e9) * 1e3
    how = (
        f"{model.stem}, {plan.latency.context_tokens} tokens of context, {now.threads} threads: "
        f"float32, each matrix restored anew ({plan.baseline_tokens} tokens); integer products "
        f"({plan.latency.n_tokens} tokens); reading {n_bytes / 1e6:,.0f} MB of weights once"
    )
    lines = tuple(
        Measured(target, exact.percentile_ms(at), now.percentile_ms(at), ceiling_ms, how)
        for target, at in ((LATENCY, 99), (LATENCY_P50, 50))
    )
    return _Latencies(lines, now), pl.concat([exact.metrics, now.metrics])
