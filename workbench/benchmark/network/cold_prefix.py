"""Time the ways to get a cold prefix: loaded, computed again, from both ends, and as chosen.

Follows: resume.py's texts on a real store; its reads are slowed down so that loading takes a stated
multiple of computing, as from a far disk or a network: on a fast SSD loading always wins.
Leaves out: what the choice costs, microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.inference.own_engine import FIRST_ID
from workbench.benchmark.inference.resume import ResumePlan, Store, stored
from workbench.benchmark.network.slow_tier import SlowTier
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import scratch_folder
from workbench.benchmark.statistics import Ratio
from workbench.tiering.memory import MIB
from workbench.tiering.unified_tier.load_or_recompute import Always, LoadOrRecompute, Way
from workbench.tiering.unified_tier.session import Session

LOAD, RECOMPUTE, BOTH, CHOSEN = "always load", "always recompute", "from both ends", "chosen"
WAYS: Mapping[str, Way | None] = {
    LOAD: Way.LOAD,
    RECOMPUTE: Way.RECOMPUTE,
    BOTH: Way.BOTH,
    CHOSEN: None,
}
# Loading takes so many times as long as computing; 1 is where both ends gain the most.
TIMES_COMPUTING = (0.25, 1.0, 4.0)
_CALIBRATIONS = 3


@dataclass(frozen=True, slots=True)
class ColdPrefixPlan:
    """Tokens of the prefix; interleaved rounds of every way and speed."""

    tokens: int
    rounds: int


@dataclass(frozen=True, slots=True)
class ColdPrefix:
    """What `measure` found.

    Attributes
    ----------
    samples : mapping     rounds of all `WAYS` by times computing; work in prefixes
    metrics : DataFrame   rows cold_prefix, s
    table : DataFrame     one row a speed
    """

    samples: Mapping[float, Samples]
    metrics: pl.DataFrame
    table: pl.DataFrame

    def better(self, times: float) -> str:
        """Return the better fixed way of one speed."""
        return max((LOAD, RECOMPUTE), key=self.samples[times].median_rate)

    def over_better(self, times: float, way: str) -> Ratio:
        """Return how many times the better fixed way's rate another one reaches."""
        return self.samples[times].ratio(way, self.better(times))


def measure(model_path: Path, store: Path, plan: ColdPrefixPlan, seed: int = 0) -> ColdPrefix:
    """Get the same cold prefix by every way, from stores of several speeds.

    Raises
    ------
    MediumError   if the text could not be stored, or reads would come from the page cache

    Cost    about ``12 * rounds`` times computing the prefix, at all speeds together.
    """
    resumed = ResumePlan((plan.tokens,), plan.rounds)
    with (
        scratch_folder(store, "cold-prefix", 256 * MIB) as folder,
        stored(model_path, folder, resumed, seed, SlowTier) as text,
    ):
        assert isinstance(text.ssd, SlowTier)
        computing_s = min(text.recompute(plan.tokens) for _ in range(_CALIBRATIONS))
        samples = {}
        for times in TIMES_COMPUTING:
            text.ssd.rate_bytes_s = text.n_bytes(plan.tokens) / (times * computing_s)
            cases = _cases(text, plan.tokens)
            with meter(f"cold prefix, {times:g}x", plan.rounds) as report:
                samples[times] = interleave(cases, plan.rounds, report)
    return ColdPrefix(samples, _rows(samples, plan), _table(samples))


def _cases(text: Store, n_tokens: int) -> list[Case]:
    chooser = LoadOrRecompute(text.n_bytes(1))
    return [
        Case(
            name,
            _timed(text, n_tokens, chooser if way is None else Always(text.n_bytes(1), way)),
            1.0,
        )
        for name, way in WAYS.items()
    ]


def _timed(text: Store, n_tokens: int, chooser: LoadOrRecompute) -> Callable[[], float]:
    """Return what answers the seconds from the question to the first logits behind the text."""

    def run() -> float:
        with (
            text.cold_cache() as cache,
            Session(text.model, cache, chooser=chooser) as session,
        ):
            start = perf_counter()
            session.feed([*text.ids[:n_tokens], FIRST_ID])
            return perf_counter() - start

    return run


def _rows(samples: Mapping[float, Samples], plan: ColdPrefixPlan) -> pl.DataFrame:
    return pl.concat(
        metrics.rows(
            "cold_prefix",
            "s",
            found.seconds[name],
            tier="cold",
            case=f"tokens={plan.tokens} times={times:g}",
            variant=name.replace(" ", "_"),
        )
        for times, found in samples.items()
        for name in WAYS
    )


def _table(samples: Mapping[float, Samples]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"loading takes": f"{times:g}x computing"}
            | {f"{name}, s": 1 / found.median_rate(name) for name in WAYS}
            for times, found in samples.items()
        ]
    )
