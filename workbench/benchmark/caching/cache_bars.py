"""The named benchmarks of eviction and prefetch: what each measures, and the bar it has to reach.

Follows: costs are held against what they may be, more being better: 1 keeps the bound exactly.
Leaves out: the measuring (policy_cost.py, prefetch_serving.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workbench import paths
from workbench.benchmark.caching import policy_cost, prefetch_serving
from workbench.benchmark.caching.policy_cost import PolicyCost
from workbench.benchmark.caching.prefetch_serving import DEMAND, VARIANTS, ServingPlan
from workbench.benchmark.findings import MEMORY, SECONDS, Benchmark, Finding, Preset
from workbench.benchmark.statistics import Claim, Ratio, bootstrap_ratio
from workbench.tiering import eviction

MOST_CALL_US, MOST_BYTES_PER_BLOCK = 2.0, 200.0

# Blocks held and rounds.
_COSTS: Mapping[Preset, tuple[int, int]] = {
    "tiny": (20_000, 10),
    "standard": (1_000_000, 10),
    "full": (1_000_000, 20),
}
_SERVINGS: Mapping[Preset, ServingPlan] = {
    "tiny": ServingPlan(requests=6, tokens=512, rounds=10),
    "standard": ServingPlan(requests=12, tokens=1_024, rounds=20),
    "full": ServingPlan(requests=12, tokens=4_096, rounds=40),
}
COST_BAR, PREFETCH_BAR = Claim.parse(">= 1x"), Claim.parse(">= 1.3x")


def _policy_cost(preset: Preset) -> list[Finding]:
    n_blocks, rounds = _COSTS[preset]
    findings = []
    for name in eviction.POLICIES:
        cost = policy_cost.measure(name, n_blocks, rounds)
        findings += [_call(cost), _memory(cost)]
    return findings


def _call(cost: PolicyCost) -> Finding:
    allowed_us = np.full_like(cost.call_us, MOST_CALL_US)
    # Rates are the inverse: allowed over taken, as for every time.
    ratio = bootstrap_ratio(1 / cost.call_us, 1 / allowed_us)
    case = f"policy={cost.policy} blocks={cost.n_blocks} a call"
    return Finding(case, ratio, MOST_CALL_US * 1e-6, SECONDS, COST_BAR, by_median=True)


def _memory(cost: PolicyCost) -> Finding:
    # Counted, not timed: the same every time, so its interval is a point.
    kept = MOST_BYTES_PER_BLOCK / cost.bytes_per_block
    allowed_mb = MOST_BYTES_PER_BLOCK * cost.n_blocks / 1e6
    case = f"policy={cost.policy} blocks={cost.n_blocks} memory"
    return Finding(case, Ratio(kept, kept, kept, 1), allowed_mb, MEMORY, COST_BAR, by_median=True)


def _async_prefetch(preset: Preset) -> list[Finding]:
    plan = _SERVINGS[preset]
    served = prefetch_serving.measure(paths.store(), plan)
    best, rate = served.best(), served.samples.median_rate(DEMAND)
    case = f"requests={plan.requests} tokens={plan.tokens}"
    return [
        Finding(
            f"{case} {name}",
            served.ratio(name),
            rate,
            "requests/s",
            PREFETCH_BAR if name == best else None,
        )
        for name in VARIANTS
        if name != DEMAND
    ]


CACHE_BENCHMARKS = (
    Benchmark(
        "policy_cost",
        "What does each eviction policy's bookkeeping cost: time a call, memory for all blocks?",
        f"1,000,000 blocks: median {MOST_CALL_US:g} us a call, {MOST_BYTES_PER_BLOCK:g} bytes a "
        "block, at most",
        _policy_cost,
    ),
    Benchmark(
        "async_prefetch",
        "How many times as many requests are served if cold prefixes are loaded ahead?",
        f"the best of those loaded ahead: {PREFETCH_BAR} of loading on demand",
        _async_prefetch,
    ),
)
