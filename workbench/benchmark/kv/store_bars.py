"""The named benchmarks of the store kernels: what each measures, and the bar it has to reach.

Follows: ratios near 1 are judged by their median, beside the same copy over itself, which on a
shared machine would miss such a bar by its interval.
Leaves out: the measuring (store_ablation.py), and the cache around the store (kv_cache_bars.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kernels import block_copy, block_quantize, kv_store
from workbench.benchmark.findings import Benchmark, Finding, Preset
from workbench.benchmark.kv import store_ablation
from workbench.benchmark.kv.store_ablation import (
    FLOAT16,
    FLOAT32,
    GEOMETRIES,
    INT8,
    AblationPlan,
    ceiling_name,
)
from workbench.benchmark.kv.store_arena import StoreArena
from workbench.benchmark.paired import Case, Samples
from workbench.benchmark.statistics import Claim

_PLANS: Mapping[Preset, AblationPlan] = {
    "tiny": AblationPlan(128, 32, 32, rounds=10),
    "standard": AblationPlan(512, 32, 256, rounds=20),
    "full": AblationPlan(1024, 32, 512, rounds=40),
}
_THREADS = (1, 2)

KERNEL_BAR, BASELINE_BAR = Claim.parse(">= 0.95x"), Claim.parse(">= 10x")
INT8_BAR = Claim.parse(">= 0.8x")

_AS_IT_IS = block_copy.KERNEL.variants["njit_nontemporal"]
_QUANTISED = block_quantize.KERNEL.variants["njit_nontemporal"]
_COPY = "the copy again"


def _arena(geometry: str, preset: Preset) -> StoreArena:
    plan = store_ablation.plan_for(GEOMETRIES[geometry], _PLANS[preset])
    return StoreArena(GEOMETRIES[geometry], plan)


def _store(arena: StoreArena, threads: int) -> Case:
    return arena.blocks(f"float16 threads={threads}", _AS_IT_IS, FLOAT16, FLOAT16, threads)


def _kernel(preset: Preset) -> list[Finding]:
    findings = []
    for geometry in GEOMETRIES:
        arena = _arena(geometry, preset)
        cases = [_store(arena, threads) for threads in _THREADS]
        # The non-temporal copy is the best one wherever there is one; its twin shows the noise.
        again = next(case for case in arena.ceilings(FLOAT16, 1) if "nontemporal" in case.name)
        cases.append(replace(again, name=_COPY))
        copies = [(FLOAT16, threads) for threads in _THREADS]
        samples = store_ablation.beside_copies(arena, cases, copies)
        for threads in _THREADS:
            name = f"float16 threads={threads}"
            claim = KERNEL_BAR if geometry == "seed" else None
            findings.append(_over(samples, geometry, name, ceiling_name(FLOAT16, threads), claim))
        findings.append(_over(samples, geometry, _COPY, ceiling_name(FLOAT16, 1), None))
    return findings


def _over(
    samples: Samples, geometry: str, contender: str, baseline: str, claim: Claim | None
) -> Finding:
    ratio, rate = samples.ratio(contender, baseline), samples.median_rate(baseline)
    case = f"geometry={geometry} {contender}"
    return Finding(case, ratio, rate, "tokens/s", claim, by_median=True)


def _vs_baseline(preset: Preset) -> list[Finding]:
    arena = _arena("seed", preset)
    slowest = kv_store.KERNEL.variants[kv_store.KERNEL.baseline]
    baseline = arena.ring("baseline", slowest, FLOAT32, at_once=False)
    ceiling = ceiling_name(FLOAT16, 2)
    samples = store_ablation.beside_copies(arena, [baseline, _store(arena, 2)], [(FLOAT16, 2)])
    rate, most = samples.median_rate("baseline"), samples.ratio(ceiling, "baseline")
    store = samples.ratio("float16 threads=2", "baseline")
    allows = "allows the bar" if most.median >= BASELINE_BAR.factor else "is below the bar"
    return [
        Finding("geometry=seed float16 threads=2", store, rate, "tokens/s", BASELINE_BAR),
        Finding(f"geometry=seed copy threads=2, which {allows}", most, rate, "tokens/s"),
    ]


def _int8(preset: Preset) -> list[Finding]:
    arena = _arena("seed", preset)
    cases = [_store(arena, threads) for threads in _THREADS]
    cases += [
        arena.blocks(f"int8 threads={threads}", _QUANTISED, FLOAT16, INT8, threads)
        for threads in _THREADS
    ]
    samples = store_ablation.beside_copies(arena, cases, [])
    return [
        _over(samples, "seed", f"int8 threads={threads}", f"float16 threads={threads}", INT8_BAR)
        for threads in _THREADS
    ]


STORE_BENCHMARKS = (
    Benchmark(
        "store_kernel",
        "How near does storing float16 tokens into blocks come to copying the same bytes?",
        f"seed geometry, 1 and 2 threads: median {KERNEL_BAR} of the best copy",
        _kernel,
    ),
    Benchmark(
        "store_vs_baseline",
        "How many times the story's store, NumPy a layer and token a call in float32, is ours?",
        f"seed geometry, float16, 2 threads, batches of 32: {BASELINE_BAR}",
        _vs_baseline,
    ),
    Benchmark(
        "store_int8",
        "What does quantising to int8 on the way cost a store of float16 tokens?",
        f"seed geometry, 1 and 2 threads: median {INT8_BAR} of the float16 store",
        _int8,
    ),
)
