"""Replay one trace through one set of tiers: hits by tier, bytes written, time to the first token.

Follows: codec_tiers.py, at one point of a sweep instead of codec by codec; sizes are stated for
Llama 3.1 8B's KV as float16, and what a codec makes of a block of it is measured here.
Leaves out: queueing, and codecs whose blocks depend on what is in them (codec_grid.py has those).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.caching.tier_simulation import TierOutcome, Tiers, simulate_tiers
from workbench.benchmark.caching.trace import Trace
from workbench.benchmark.codecs import codec_rates, codec_tiers
from workbench.benchmark.codecs.codec_grid import LARGER
from workbench.benchmark.codecs.codec_tiers import System
from workbench.benchmark.statistics import Ratio, bootstrap_ratio
from workbench.errors import UsageError
from workbench.tiering.compression.choice import CodecRates
from workbench.tiering.tiered_kv_cache import BlockLayout

# Their blocks have one size, so that any frame tells their ratio.
CODECS = ("none", "int8", "int8-channel", "int4", "int4-hadamard")
HIT_RATE, TIER_HITS, WRITTEN = "hit_rate", "tier_hit_rate", "ssd_written"
TTFT_MEAN, TTFT_MEDIAN = "ttft_mean", "ttft_median"
MEMORY_ALONE = "memory_alone"
_FRAMES, _ROUNDS, _SLICES = 2, 10, 20
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Budget:
    """What the tiers may hold, in GiB, and how they are run.

    Attributes
    ----------
    ram_gib, ssd_gib : int   of memory and of SSD; an SSD of 0: there is none
    policy, write : str      as `Tiers` has them
    """

    ram_gib: int
    ssd_gib: int
    policy: str = "lru"
    write: str = "write_through"

    def tiers(self, trace_block_bytes: int) -> Tiers:
        """Return the tiers in float16 blocks of so many bytes.

        Raises
        ------
        UsageError   if memory cannot hold the two blocks that a cache needs
        """
        ram_blocks = self.ram_gib * _GIB // trace_block_bytes
        if ram_blocks < 2:
            raise UsageError(
                f"ram_gib={self.ram_gib} holds {ram_blocks} blocks of {trace_block_bytes:,} bytes, "
                "a cache needs 2; allow more memory"
            )
        ssd_blocks = self.ssd_gib * _GIB // trace_block_bytes
        return Tiers(ram_blocks, ssd_blocks, self.policy, self.write)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes
    ----------
    metrics : DataFrame          the codec's rows first, then those of memory alone
    table : DataFrame            a row for the codec's tiers, and one for memory alone
    notes : tuple of str         the workload, the codec, what was assumed
    ttft_s, alone_s : float64[n_requests]   time to the first token with the SSD, and without
    """

    metrics: pl.DataFrame
    table: pl.DataFrame
    notes: tuple[str, ...]
    ttft_s: NDArray[np.float64]
    alone_s: NDArray[np.float64]

    def gain(self) -> Ratio:
        """Return how much sooner the first token is there with the SSD than without.

        A round is a twentieth of the requests, one after another: the mean of the same requests
        with and without.

        Raises
        ------
        ValueError   if there are so few requests that fewer than 10 such rounds take any time
        """
        sooner = [part.mean() for part in np.array_split(self.ttft_s, _SLICES) if part.size]
        later = [part.mean() for part in np.array_split(self.alone_s, _SLICES) if part.size]
        rounds = [(a, b) for a, b in zip(sooner, later, strict=True) if a > 0 and b > 0]
        rates = 1 / np.array(rounds).reshape(-1, 2)
        return bootstrap_ratio(rates[:, 0], rates[:, 1])


def rates(name: str, seed: int) -> CodecRates:
    """Return a codec's ratio on frames of the geometry, and how fast a thread decodes them.

    Raises
    ------
    UsageError   for a codec whose ratio depends on what is in a block

    Cost    about 0.3 s.
    """
    if name not in CODECS:
        raise UsageError(
            f"codec {name!r} has no ratio of its own: what is in a block decides; "
            f"use {', '.join(CODECS)}"
        )
    layout = BlockLayout(LARGER)
    frames = codec_rates.random_frames(layout, _FRAMES, seed)
    speed = codec_rates.measure(layout, frames, [name], _ROUNDS)
    decode_gb_s = speed.samples.median_rate(f"decode {name}") / 1e9
    if name == "none":  # reads land in their place
        decode_gb_s = float("inf")
    return CodecRates(name, speed.ratios[name], decode_gb_s, 0.0)


def measure(trace: Trace, budget: Budget, codec: CodecRates, system: System) -> Replay:
    """Replay a trace with a codec on the SSD, and through memory alone.

    Cost    about 6 us a block reference, twice.
    """
    plain = budget.tiers(trace.block_tokens * system.bytes_per_token)
    ways = {codec.name: codec_tiers.coded(plain, codec), MEMORY_ALONE: replace(plain, ssd_blocks=0)}
    rows, table, times = [], [], []
    for name, tiers in ways.items():
        outcome = simulate_tiers(trace, tiers)
        ttft_s = codec_tiers.ttft_seconds(trace, outcome, codec, system)
        written = outcome.n_written * trace.block_tokens * system.bytes_per_token / codec.ratio
        values = _values(outcome, ttft_s, written)
        rows += [
            metrics.rows(metric, unit, [value], tier=tier, variant=name)
            for metric, unit, tier, value in values
        ]
        times.append(ttft_s)
        table.append(_line(name, tiers, values))
    return Replay(
        pl.concat(rows), pl.DataFrame(table), _notes(trace, budget, codec, system), *times
    )


def _values(
    outcome: TierOutcome, ttft_s: NDArray[np.float64], written: float
) -> list[tuple[str, str, str, float]]:
    """Return metric, unit, tier and value of all that one way came to."""
    n = max(1, outcome.n_references)
    return [
        (HIT_RATE, "ratio", "", outcome.hit_rate),
        (TIER_HITS, "ratio", "hot", int(outcome.hot_hits.sum()) / n),
        (TIER_HITS, "ratio", "cold", int(outcome.cold_hits.sum()) / n),
        (WRITTEN, "GiB", "", written / _GIB),
        (TTFT_MEAN, "s", "", float(ttft_s.mean())),
        (TTFT_MEDIAN, "s", "", float(np.median(ttft_s))),
    ]


def _line(name: str, tiers: Tiers, values: list[tuple[str, str, str, float]]) -> dict[str, object]:
    rate, hot, cold, written, mean_s, median_s = (value for *_, value in values)
    return {
        "on the SSD": name.replace("_", " "),
        "blocks in memory": tiers.ram_blocks,
        "blocks on the SSD": tiers.ssd_blocks,
        "hits": f"{rate:.1%}",
        "found in memory": f"{hot:.1%}",
        "found on the SSD": f"{cold:.1%}",
        "SSD written, GiB": written,
        "mean TTFT, s": mean_s,
        "median TTFT, s": median_s,
    }


def _notes(trace: Trace, budget: Budget, codec: CodecRates, system: System) -> tuple[str, ...]:
    decoding = "" if np.isinf(codec.decode_gb_s) else f", decoded at {codec.decode_gb_s:.1f} GB/s"
    return (
        f"{trace.name}: {len(trace):,} requests of {trace.n_references:,} blocks, "
        f"{trace.n_distinct:,} of them different, {trace.block_tokens} tokens each",
        f"{budget.ram_gib} GiB of memory and {budget.ssd_gib} GiB of SSD, evicted by "
        f"{budget.policy}, written by {budget.write.replace('_', ' ')}",
        f"{codec.name} makes a block {codec.ratio:.2f} times smaller (measured here){decoding}",
        f"assumed: {system.bytes_per_token / 1024:g} KiB of float16 KV a token, an SSD that reads "
        f"{system.read_gb_s:g} GB/s, {system.prefill_tokens_s:,.0f} tokens/s of prefill; no queues",
    )
