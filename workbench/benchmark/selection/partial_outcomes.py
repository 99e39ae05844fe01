"""Say what decoding from a choice of cold blocks came to: bytes, quality and time, side by side.

Follows: bytes of the layout's own whole read and of float16's; quality from the run that reads all.
Leaves out: decoding (text_decoder.py), and which ways there are (ways.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.selection.answers import Distance
from workbench.benchmark.selection.ways import BY_NEED, EVERYTHING, RULES, TRUE_MASS, Way
from workbench.benchmark.statistics import Ratio

MOST_FRAC, MOST_KL = 0.3, 0.01
# From here on one word in ten or so is another one.
BROKEN_TOP1 = 0.9
_MB = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one way did, over all texts.

    Attributes
    ----------
    distance : Distance           from the answers of float16 when everything is read
    read_bytes : float            of frames that were read for a token, the mean
    all_bytes : float             the same when everything is read of this layout
    exact_bytes : float           the same when everything is read of the first layout, float16
    token_s : float64[n_tokens]   of each token
    summary_bytes, hot_bytes      memory: of key summaries; of blocks that stay
    """

    distance: Distance
    read_bytes: float
    all_bytes: float
    exact_bytes: float
    token_s: NDArray[np.float64]
    summary_bytes: int
    hot_bytes: int

    @property
    def read_frac(self) -> float:
        """Return the bytes read over those of everything, in the same layout."""
        return self.read_bytes / self.all_bytes

    @property
    def kl(self) -> float:
        """Return the mean KL in nats."""
        return float(self.distance.kl.mean())

    def kl_over(self, most_kl: float) -> Ratio:
        """Return the mean KL with its interval, in multiples of a bar."""
        mean = self.distance.mean_kl()
        low, high = mean.low / most_kl, mean.high / most_kl
        return Ratio(mean.median / most_kl, low, high, mean.n_rounds)

    @property
    def top1(self) -> float:
        """Return the fraction of tokens whose likeliest successor is the same."""
        return float(self.distance.same_top.mean())


@dataclass(frozen=True, slots=True, eq=False)
class PartialLoading:
    """What `measure` found: outcomes by way; the first one reads everything."""

    outcomes: dict[Way, Outcome]
    n_tokens: int
    context_tokens: int

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows: fraction read, KL, top-1 agreement, perplexity and time a token."""
        return pl.concat([_rows(way, outcome) for way, outcome in self.outcomes.items()])

    @property
    def table(self) -> pl.DataFrame:
        """Return speed, bytes and quality of every way, a row each."""
        return pl.DataFrame(
            [_table_row(way, one, self.whole_read_s) for way, one in self.outcomes.items()]
        )

    @property
    def whole_read_s(self) -> float:
        """Return the seconds a token of the layout that reads everything fastest."""
        return min(
            float(np.median(one.token_s))
            for way, one in self.outcomes.items()
            if way.rule == EVERYTHING
        )

    @property
    def judged(self) -> tuple[Way, Outcome]:
        """Return what is judged: budgets by need in the first layout, 30 % of the cold blocks."""
        layout = next(iter(self.outcomes)).layout
        way = Way(BY_NEED, MOST_FRAC, layout)
        return way, self.outcomes[way]

    @property
    def judged_name(self) -> str:
        """Return what is judged, and what it read."""
        way, one = self.judged
        return f"{way.name}, {one.read_frac:.1%} of the cold bytes"

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know beside the table."""
        way, one = self.judged
        breaks = {rule: self.breaks(rule) for rule in RULES}
        found = [f"{rule} at {frac:.0%}" for rule, frac in breaks.items() if frac is not None]
        broken = ", ".join(found) or "never"
        best = self.best()
        least = "none" if best is None else f"{best.name} ({best.layout.name})"
        return (
            f"{self.n_tokens} tokens behind {self.context_tokens:,} each; teacher forcing; KL of "
            "the next-token distributions, from the run that reads everything in float16",
            "bytes are those of the frames that the SSD tier counted as read, with their pages of "
            f"headers; {one.hot_bytes / _MB:.1f} MB of blocks (sinks and the last "
            f"{way.layout.recent_tokens} tokens) and {one.summary_bytes / _MB:.1f} MB of summaries "
            "stay in memory",
            f"summaries take {one.summary_bytes / one.all_bytes:.1%} of the cold bytes",
            f"least bytes at a KL of {MOST_KL:g} or less: {least}",
            f"the likeliest token differs in more than 1 of 10 cases: {broken}",
        )

    def best(self, most_kl: float = MOST_KL) -> Way | None:
        """Return the way of a key summary that reads least at that KL; None: there is none."""
        good = [
            way
            for way, one in self.outcomes.items()
            if way.rule not in (EVERYTHING, TRUE_MASS) and one.kl <= most_kl
        ]
        return min(good, key=lambda way: self.outcomes[way].read_frac, default=None)

    def breaks(self, rule: str) -> float | None:
        """Return the largest measured fraction at which a rule's answers visibly break."""
        broken = [
            way.frac
            for way, one in self.outcomes.items()
            if way.rule == rule and one.top1 < BROKEN_TOP1
        ]
        return max(broken, default=None)


def _rows(way: Way, one: Outcome) -> pl.DataFrame:
    def row(metric: str, unit: str, values: Sequence[float]) -> pl.DataFrame:
        case = f"frac={way.frac:g} layout={way.layout.name}"
        variant = f"{way.rule}_once_per_frame" if way.once_per_frame else way.rule
        return metrics.rows(metric, unit, values, tier="device", case=case, variant=variant)

    return pl.concat(
        [
            row("cold_read_frac", "ratio", [one.read_frac]),
            row("cold_read", "bytes", [one.read_bytes]),
            row("kl", "nats", one.distance.kl.tolist()),
            row("top1_agreement", "ratio", [one.top1]),
            row("perplexity_change", "ratio", [one.distance.perplexity_change]),
            row("cold_token", "ms", (1e3 * one.token_s).tolist()),
        ]
    )


def _table_row(way: Way, one: Outcome, whole_read_s: float) -> dict[str, object]:
    kl = one.distance.mean_kl()
    median_ms = 1e3 * float(np.median(one.token_s))
    return {
        "way": way.name,
        "layout": way.layout.name,
        "MB read a token": one.read_bytes / _MB,
        "of everything": f"{100 * one.read_frac:.1f} %",
        "of float16": f"{100 * one.read_bytes / one.exact_bytes:.1f} %",
        "KL": f"{kl.median:.5f}",
        "KL 99 %": f"{kl.low:.5f} to {kl.high:.5f}",
        "top-1": f"{100 * one.top1:.1f} %",
        "perplexity": f"{100 * one.distance.perplexity_change:+.2f} %",
        "ms a token": median_ms,
        "times the fastest whole read": 1e3 * whole_read_s / median_ms,
        "summaries MB": one.summary_bytes / _MB,
        "hot MB": one.hot_bytes / _MB,
    }
