"""Replay traces through every policy at several cache sizes, beside what MIN would hit.

Follows: FIELD's finding that no policy wins everywhere: the ranking flips with the size.
Leaves out: two tiers (tier_hits.py) and the cost of the bookkeeping (policy_cost.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.caching.cache_simulation import MIN, reachable_hit_rate, simulate
from workbench.benchmark.caching.trace import Trace
from workbench.benchmark.progress import track
from workbench.tiering import eviction

POLICIES = (*eviction.POLICIES, MIN)
REACHABLE = "without_end"


@dataclass(frozen=True, slots=True)
class PolicySweep:
    """What `measure` found.

    Attributes
    ----------
    metrics : DataFrame   rows hit_rate and fraction_of_min, 0..1, a case ``trace=... blocks=...``
    table : DataFrame     a row a trace and policy; hit rates and fractions of MIN's by size
    """

    metrics: pl.DataFrame
    table: pl.DataFrame


def measure(traces: Sequence[Trace], sizes: Sequence[int]) -> PolicySweep:
    """Replay every trace through every policy at every size.

    Parameters
    ----------
    sizes : sequence of int   blocks that the cache holds, ascending

    Cost    0.5 to 3 us a block reference, policy and size.
    """
    points = [(trace, policy, size) for trace in traces for policy in POLICIES for size in sizes]
    rates = {
        (trace.name, policy, size): simulate(trace, policy, size).hit_rate
        for trace, policy, size in track(points, "policies")
    }
    # What MIN cannot hit either is no policy's fault.
    of_min = {
        (trace, policy, size): rate / (rates[trace, MIN, size] or 1.0)
        for (trace, policy, size), rate in rates.items()
    }
    rows = [
        metrics.rows(metric, "ratio", [value], case=f"trace={trace} blocks={size}", variant=policy)
        for metric, values in (("hit_rate", rates), ("fraction_of_min", of_min))
        for (trace, policy, size), value in values.items()
    ]
    for trace in traces:
        rate = reachable_hit_rate(trace)
        case = f"trace={trace.name}"
        rows.append(metrics.rows("hit_rate", "ratio", [rate], case=case, variant=REACHABLE))
    table = pl.DataFrame(
        [
            {"trace": trace.name, "policy": policy}
            | {f"{n:,} blocks": f"{rates[trace.name, policy, n]:.1%}" for n in sizes}
            | {f"of MIN at {n:,}": round(of_min[trace.name, policy, n], 3) for n in sizes}
            for trace in traces
            for policy in POLICIES
        ]
    )
    return PolicySweep(pl.concat(rows), table)
