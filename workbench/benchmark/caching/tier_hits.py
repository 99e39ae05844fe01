"""Say what an SSD is worth to a multi-turn workload: hits by tier, and bytes written for them.

Follows: tier_simulation.py; sizes are stated in GiB of a real model's KV.
Leaves out: time; that the real cache hits the same blocks is cache_replay.py's to show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.caching.cache_simulation import reachable_hit_rate
from workbench.benchmark.caching.policy_sweep import REACHABLE
from workbench.benchmark.caching.tier_simulation import TierOutcome, Tiers, simulate_tiers
from workbench.benchmark.caching.trace import Trace
from workbench.benchmark.progress import track
from workbench.tiering import write_policy

# Llama 3.1 8B: 32 layers, 8 KV heads of 128 values, K and V, fp16.
KV_BYTES_PER_TOKEN = 32 * 8 * 128 * 2 * 2
_GIB = 1 << 30
MEMORY_ALONE = "memory_alone"
LEAST_WITH_SSD, STRETCH_WITH_SSD, MOST_WITHOUT = 0.6, 0.7, 0.4


@dataclass(frozen=True, slots=True)
class TierHits:
    """What `measure` found.

    Attributes
    ----------
    metrics : DataFrame    rows tier_hit_rate (tiers hot and cold) and ssd_written
    table : DataFrame      a row a way to run the tiers
    claims : DataFrame     the claims on the workload, and what became of them
    notes : tuple of str   what the workload is
    hit_rates : dict       way -> blocks found in either tier, 0..1; `MEMORY_ALONE` is one of them
    """

    metrics: pl.DataFrame
    table: pl.DataFrame
    claims: pl.DataFrame
    notes: tuple[str, ...]
    hit_rates: dict[str, float]


def measure(
    trace: Trace,
    tiers: Tiers,
    policies: Sequence[str],
    writes: Iterable[str] = write_policy.WRITE_POLICIES,
) -> TierHits:
    """Replay a trace without the SSD, with it by several write policies, and by several evictions.

    Parameters
    ----------
    policies : sequence of str   evictions beside the tiers' own
    writes : iterable of str     write policies beside the tiers' own

    Cost    about 6 us a block reference and way.
    """
    ways = {MEMORY_ALONE: Tiers(tiers.ram_blocks, 0, tiers.policy)}
    for write in dict.fromkeys((*writes, tiers.write)):
        ways[write] = Tiers(tiers.ram_blocks, tiers.ssd_blocks, tiers.policy, write)
    for policy in policies:
        if policy != tiers.policy:
            ways[f"{tiers.write}_{policy}"] = Tiers(
                tiers.ram_blocks, tiers.ssd_blocks, policy, tiers.write
            )
    outcomes = {
        name: simulate_tiers(trace, way) for name, way in track(ways.items(), "tiers", len(ways))
    }
    without, with_ssd = outcomes[MEMORY_ALONE], outcomes[tiers.write]
    rows = [_rows(name, outcome, trace) for name, outcome in outcomes.items()]
    reachable = [reachable_hit_rate(trace)]
    rows.append(metrics.rows("tier_hit_rate", "ratio", reachable, variant=REACHABLE))
    return TierHits(
        pl.concat(rows),
        pl.DataFrame([_row(name, outcome, trace) for name, outcome in outcomes.items()]),
        _claims(without.hit_rate, with_ssd.hit_rate),
        _notes(trace, tiers),
        {name: outcome.hit_rate for name, outcome in outcomes.items()},
    )


def block_bytes(trace: Trace) -> int:
    """Return the bytes of a trace's block at the geometry that sizes are stated for."""
    return trace.block_tokens * KV_BYTES_PER_TOKEN


def _rows(name: str, outcome: TierOutcome, trace: Trace) -> pl.DataFrame:
    shares = {"hot": outcome.hot_hits, "cold": outcome.cold_hits}
    rows = [
        metrics.rows(
            "tier_hit_rate",
            "ratio",
            [int(hits.sum()) / outcome.n_references],
            tier=tier,
            variant=name,
        )
        for tier, hits in shares.items()
    ]
    written = float(outcome.n_written * block_bytes(trace))
    return pl.concat([*rows, metrics.rows("ssd_written", "bytes", [written], variant=name)])


def _row(name: str, outcome: TierOutcome, trace: Trace) -> dict[str, object]:
    n = outcome.n_references
    return {
        "tiers": name.replace("_", " "),
        "hits": f"{outcome.hit_rate:.1%}",
        "in memory": f"{int(outcome.hot_hits.sum()) / n:.1%}",
        "on the SSD": f"{int(outcome.cold_hits.sum()) / n:.1%}",
        "SSD written, GiB": outcome.n_written * block_bytes(trace) / _GIB,
        "written per block asked for": outcome.n_written / n,
    }


def _claims(without: float, with_ssd: float) -> pl.DataFrame:
    claims = [
        ("with the SSD", f"at least {least:.0%}", with_ssd, with_ssd >= least)
        for least in (LEAST_WITH_SSD, STRETCH_WITH_SSD)
    ]
    claims.append(("memory alone", f"at most {MOST_WITHOUT:.0%}", without, without <= MOST_WITHOUT))
    return pl.DataFrame(
        [
            {"tiers": tiers, "claim": claim, "hits": f"{rate:.1%}", "holds": holds}
            for tiers, claim, rate, holds in claims
        ]
    )


def _notes(trace: Trace, tiers: Tiers) -> tuple[str, ...]:
    gib = block_bytes(trace) / _GIB
    return (
        f"{trace.name}: {len(trace):,} requests over {trace.arrival_s[-1] / 3600:,.1f} h, "
        f"{trace.input_tokens.mean():,.0f} tokens a prompt; "
        f"at most {reachable_hit_rate(trace):.1%} of all blocks can hit",
        f"memory holds {tiers.ram_blocks:,} blocks of {trace.block_tokens} tokens, the SSD "
        f"{tiers.ssd_blocks:,}: {tiers.ram_blocks * gib:,.0f} and {tiers.ssd_blocks * gib:,.0f} "
        "GiB of Llama 3.1 8B's KV at fp16 (128 KiB a token)",
        f"eviction by {tiers.policy} unless another policy is named",
    )
