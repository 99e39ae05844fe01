"""Measure how long each token of the real model takes, one by one, everything hot in memory.

Follows: greedy decoding behind a prompt; percentiles over all tokens, none left out but the first
few, in which kernels are loaded.
Leaves out: other engines (decode_rates.py) and cold blocks (resume.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.inference.own_engine import OwnEngine, random_ids
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.statistics import Ratio
from workbench.inference.llama import available_threads

METRIC = "decode_latency"
# Variants: the float32 pass that restores every matrix each time, and the one that is used.
EXACT, FAST = "exact_float32", "integer"
_WARM_TOKENS = 1
_BASELINE_CONTEXT = 8
_RESAMPLES, _RUN_TOKENS = 2000, 10


@dataclass(frozen=True, slots=True)
class LatencyPlan:
    """How much is decoded: tokens of the prompt, and tokens that are timed."""

    context_tokens: int
    n_tokens: int


@dataclass(frozen=True, slots=True)
class DecodeLatency:
    """What `measure` found: seconds of each token, float64[n_tokens]."""

    variant: str
    context_tokens: int
    threads: int
    seconds: NDArray[np.float64]

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile in milliseconds; of fewer than 100 tokens the 99th is the slowest."""
        # The order statistic itself: interpolating would invent a latency that no token had.
        return float(np.percentile(self.seconds, percent, method="higher")) * 1e3

    @property
    def sentence(self) -> str:
        """Return both percentiles, as a verdict names them."""
        p50, p99 = self.percentile_ms(50), self.percentile_ms(99)
        return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, over {len(self.seconds)} tokens."

    def margin(self, p50_limit_ms: float, p99_limit_ms: float, seed: int = 0) -> Ratio:
        """Return how many times the slower of two limits is kept: 1 or more keeps both.

        The interval resamples runs of consecutive tokens, for a slow moment slows several.
        """
        limits = np.array([p50_limit_ms, p99_limit_ms])
        rng = np.random.default_rng(seed)
        n_tokens = len(self.seconds)
        length = min(_RUN_TOKENS, n_tokens)
        starts = rng.integers(0, n_tokens - length + 1, (_RESAMPLES, -(-n_tokens // length)))
        picks = (starts[..., None] + np.arange(length)).reshape(_RESAMPLES, -1)
        milliseconds = 1e3 * np.percentile(self.seconds[picks], [50, 99], axis=1, method="higher")
        low, high = np.quantile((limits[:, None] / milliseconds).min(axis=0), [0.005, 0.995])
        here = min(limits / [self.percentile_ms(50), self.percentile_ms(99)])
        return Ratio(float(here), float(min(low, here)), float(max(high, here)), n_tokens)

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows: milliseconds, one a token."""
        return metrics.rows(
            METRIC,
            "ms",
            self.seconds * 1e3,
            tier="hot",
            case=f"tokens={self.context_tokens} threads={self.threads}",
            variant=self.variant,
        )

    @property
    def table(self) -> pl.DataFrame:
        """Return one row: percentiles and the rate."""
        return pl.DataFrame(
            [
                {
                    "variant": self.variant,
                    "context tokens": self.context_tokens,
                    "threads": self.threads,
                    "tokens timed": len(self.seconds),
                    "p50 ms": self.percentile_ms(50),
                    "p99 ms": self.percentile_ms(99),
                    "slowest ms": float(self.seconds.max()) * 1e3,
                    "tokens/s": len(self.seconds) / float(self.seconds.sum()),
                }
            ]
        )


def baseline(model: Path, n_tokens: int, seed: int = 0) -> DecodeLatency:
    """Decode by the plain float32 pass behind a few tokens: what Day 1 holds the rest against.

    Cost    0.4 s a token of the 135M model, and as much again for the first ones.
    """
    return measure(model, LatencyPlan(_BASELINE_CONTEXT, n_tokens), exact=True, seed=seed)


def measure(model: Path, plan: LatencyPlan, *, exact: bool = False, seed: int = 0) -> DecodeLatency:
    """Decode token by token and time each.

    Parameters
    ----------
    model : Path   a GGUF file
    exact : bool   by the plain float32 pass, the baseline

    Raises
    ------
    GGUFError, UsageError   as the model raises them

    Cost    one prefill and the tokens: of the 135M model 10 ms each, exact 0.4 s.
    """
    threads = available_threads()
    room = plan.context_tokens + plan.n_tokens + _WARM_TOKENS
    with OwnEngine(PeerSettings(model, room, threads), exact=exact) as engine:
        engine.prefill_seconds(random_ids(model, plan.context_tokens, seed))
        engine.decode(_WARM_TOKENS)
        seconds = engine.decode(plan.n_tokens)
    return DecodeLatency(EXACT if exact else FAST, plan.context_tokens, threads, seconds)
