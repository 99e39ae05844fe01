"""Say what smaller blocks are worth to a system: hits and time to the first token at fixed budgets.

Follows: tier_simulation.py: a codec that makes blocks r times smaller lets r times as many onto the
SSD. A request waits for its cold blocks, then computes what was not found.
Leaves out: queueing; what is hot stays float16, so memory holds as many blocks with every codec.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.caching.tier_simulation import TierOutcome, Tiers, simulate_tiers
from workbench.benchmark.caching.trace import Trace
from workbench.benchmark.progress import track
from workbench.tiering.compression.choice import CodecRates, load_seconds

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class System:
    """What a request's time is made of.

    Attributes
    ----------
    bytes_per_token : int      of keys and values as float16
    read_gb_s : float          of the SSD
    prefill_tokens_s : float   of the model
    """

    bytes_per_token: int
    read_gb_s: float
    prefill_tokens_s: float


@dataclass(frozen=True, slots=True)
class CodecTiers:
    """What `measure` found: rows tier_hit_rate and ttft by codec, a table and notes."""

    metrics: pl.DataFrame
    table: pl.DataFrame
    notes: tuple[str, ...]


def measure(trace: Trace, tiers: Tiers, codecs: Sequence[CodecRates], system: System) -> CodecTiers:
    """Replay a trace with every codec on the SSD.

    Parameters
    ----------
    tiers : Tiers   the budget: blocks of float16 in memory and on the SSD

    Cost    about 6 us a block reference and codec.
    """
    rows, table = [], []
    for codec in track(codecs, "codecs on traces", len(codecs)):
        sized = coded(tiers, codec)
        outcome = simulate_tiers(trace, sized)
        ttft_s = ttft_seconds(trace, outcome, codec, system)
        labels = {"case": f"trace={trace.name}", "variant": codec.name}
        rows += [
            metrics.rows("codec_hit_rate", "ratio", [outcome.hit_rate], **labels),
            metrics.rows("codec_ttft", "s", [float(ttft_s.mean())], **labels),
        ]
        written = outcome.n_written * trace.block_tokens * system.bytes_per_token / codec.ratio
        table.append(
            {
                "codec": codec.name,
                "blocks on the SSD": sized.ssd_blocks,
                "hits": f"{outcome.hit_rate:.1%}",
                "on the SSD": f"{int(outcome.cold_hits.sum()) / outcome.n_references:.1%}",
                "mean TTFT, s": float(ttft_s.mean()),
                "median TTFT, s": float(np.median(ttft_s)),
                "SSD written, GiB": written / _GIB,
            }
        )
    return CodecTiers(pl.concat(rows), pl.DataFrame(table), _notes(trace, tiers, system))


def coded(tiers: Tiers, codec: CodecRates) -> Tiers:
    """Return the tiers of a codec: the same bytes of SSD hold its smaller blocks."""
    return replace(tiers, ssd_blocks=int(tiers.ssd_blocks * codec.ratio))


def ttft_seconds(
    trace: Trace, outcome: TierOutcome, codec: CodecRates, system: System
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return each request's seconds to its first token, float64[n_requests]."""
    block_bytes = trace.block_tokens * system.bytes_per_token
    n_blocks = np.array([len(request) for request in trace])
    missing_s = (n_blocks - outcome.hits) * trace.block_tokens / system.prefill_tokens_s
    loads = [
        load_seconds(codec, float(hits * block_bytes), system.read_gb_s)
        for hits in outcome.cold_hits
    ]
    return np.array(loads) + missing_s


def _notes(trace: Trace, tiers: Tiers, system: System) -> tuple[str, ...]:
    gib = trace.block_tokens * system.bytes_per_token / _GIB
    return (
        f"{trace.name}: {len(trace):,} requests; memory for {tiers.ram_blocks * gib:,.2f} GiB and "
        f"an SSD of {tiers.ssd_blocks * gib:,.2f} GiB with every codec",
        f"a request reads its cold blocks at {system.read_gb_s:.2g} GB/s and computes the rest at "
        f"{system.prefill_tokens_s:,.0f} tokens/s, both measured here with the real model",
    )
