"""Measure what a coarser codec in some layers saves and costs, by how these layers were chosen.

Follows: speed, bytes and quality in one table; stores, restores and scoring as every codec's.
Leaves out: which layers (coarse_choices.py), attending to int4 as it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.codecs import codec_restore
from workbench.benchmark.codecs.codec_damage import Damage
from workbench.benchmark.codecs.codec_quality import QualityPlan, Scoring
from workbench.benchmark.codecs.codec_restore import CodecRestore
from workbench.benchmark.selection.answers import Distance
from workbench.benchmark.selection.coarse_choices import COARSE, RULES, SPREAD, Choice
from workbench.benchmark.selection.real_text import KeysValues, token_major
from workbench.benchmark.statistics import Ratio

PLAIN = "none"


@dataclass(frozen=True, slots=True)
class CoarsePlan:
    """How it is measured.

    Attributes
    ----------
    n_groups : tuple of int   groups of layers that get the coarser codec, ascending
    quality : QualityPlan     how much text is scored
    restored_tokens : int     of the prefix that is restored from the SSD, whole blocks
    rounds : int              restores of each choice, interleaved
    """

    n_groups: tuple[int, ...]
    quality: QualityPlan
    restored_tokens: int
    rounds: int = 10


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one choice came to.

    Attributes
    ----------
    token_bytes : float             that the SSD reads for a token
    restore_s : float64[n_rounds]   of the prefix
    distance : Distance             from the answers of a prefix that no codec has coded
    """

    token_bytes: float
    restore_s: NDArray[np.float64]
    distance: Distance


@dataclass(frozen=True, slots=True, eq=False)
class CoarseLayers:
    """What `measure` found: the uniform choices first.

    Attributes
    ----------
    plain_bytes : float           of a token as float16
    plain_s : float64[n_rounds]   of restoring the prefix as float16
    """

    outcomes: dict[Choice, Outcome]
    plain_bytes: float
    plain_s: NDArray[np.float64]
    plan: CoarsePlan

    @property
    def metrics(self) -> pl.DataFrame:
        """Return rows coarse_kl, coarse_bytes, coarse_top1 and coarse_restore."""
        return pl.concat([_rows(choice, one) for choice, one in self.outcomes.items()])

    @property
    def table(self) -> pl.DataFrame:
        """Return bytes, speed and quality of every choice, a row each."""
        plain = {
            "codec": "none (float16)",
            "bytes a token": round(self.plain_bytes),
            "times smaller": 1.0,
            "restore, ms": 1e3 * float(np.median(self.plain_s)),
            "plain GB/s": self._rate(self.plain_s),
            "KL": f"{0:.5f}",
            "KL 99 %": "",
            "top-1": "100.0 %",
            "perplexity": "+0.00 %",
        }
        return pl.DataFrame([plain, *(self._row(*pair) for pair in self.outcomes.items())])

    def _rate(self, seconds: NDArray[np.float64]) -> float:
        n_bytes = self.plain_bytes * self.plan.restored_tokens
        return n_bytes / float(np.median(seconds)) / 1e9

    def _row(self, choice: Choice, one: Outcome) -> dict[str, object]:
        kl = one.distance.mean_kl()
        return {
            "codec": choice.name,
            "bytes a token": round(one.token_bytes),
            "times smaller": self.plain_bytes / one.token_bytes,
            "restore, ms": 1e3 * float(np.median(one.restore_s)),
            "plain GB/s": self._rate(one.restore_s),
            "KL": f"{kl.median:.5f}",
            "KL 99 %": f"{kl.low:.5f} to {kl.high:.5f}",
            "top-1": f"{100 * one.distance.same_top.mean():.1f} %",
            "perplexity": f"{100 * one.distance.perplexity_change:+.2f} %",
        }

    def kl_over(self, rule: str, other: str, n_groups: int) -> Ratio:
        """Return one choice's mean KL over another's, of as many groups of layers."""
        found = {choice[:2]: one.distance for choice, one in self.outcomes.items()}
        return found[rule, n_groups].kl_over(found[other, n_groups])

    @property
    def comparison(self) -> pl.DataFrame:
        """Return a row a number of layers: each choice's KL over the one's that knows nothing."""
        spread = [choice for choice in self.outcomes if choice.rule == SPREAD]
        return pl.DataFrame(
            [
                {f"layers of {COARSE}": choice.n_coarse}
                | {
                    rule: str(self.kl_over(rule, SPREAD, choice.n_groups))
                    for rule in RULES
                    if rule != SPREAD
                }
                for choice in spread
            ]
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know beside the tables."""
        n_tokens = len(next(iter(self.outcomes.values())).distance.kl)
        scorer = (
            "float32 throughout"
            if self.plan.quality.exact
            else "the fast pass, whose own rounding is more than what codecs lose: a trial run only"
        )
        return (
            f"{n_tokens} tokens of text that no choice goes by, behind prefixes of "
            f"{self.plan.quality.prefix_tokens} that came back through the codec; scored by "
            f"{scorer}; intervals at 99 % over runs of tokens",
            f"bytes are what the SSD tier read of frames; {self.plan.restored_tokens} tokens are "
            f"restored, {len(self.plain_s)} times each, in turn; GB/s are of float16's bytes",
            f"layers are chosen in groups of three; below 1x less is lost than {SPREAD}",
        )


def measure(
    scoring: Scoring,
    store: Path,
    found: Sequence[Choice],
    stored: KeysValues,
    text: str,
    plan: CoarsePlan,
) -> CoarseLayers:
    """Restore a prefix through every choice, and score a text behind prefixes that came through it.

    Parameters
    ----------
    stored : KeysValues   whose first tokens are restored
    text : str            that is scored; another one than needs were measured on

    Raises
    ------
    UsageError    if the text is too short
    MediumError   if the device was not reached, or a block was missed or wrong
    """
    codecs = list(dict.fromkeys(choice.codec for choice in found))
    n = plan.restored_tokens
    k, v = (side[:n].astype(np.float16) for side in token_major(stored))
    restore = codec_restore.measure(store, k, v, [PLAIN, *codecs], plan.rounds)
    damages = {damage.name: damage for damage in scoring.measure(codecs, text).damages}
    return CoarseLayers(
        {one: _outcome(restore, damages[one.codec], n) for one in found},
        restore.read_bytes[PLAIN] / n,
        restore.samples.seconds[PLAIN],
        plan,
    )


def _outcome(restore: CodecRestore, damage: Damage, n_tokens: int) -> Outcome:
    return Outcome(
        restore.read_bytes[damage.name] / n_tokens,
        restore.samples.seconds[damage.name],
        Distance(damage.kl, damage.same_top, damage.log_ratio),
    )


def _rows(choice: Choice, one: Outcome) -> pl.DataFrame:
    def row(metric: str, unit: str, values: Sequence[float], tier: str = "") -> pl.DataFrame:
        case = f"layers={choice.n_coarse}"
        return metrics.rows(metric, unit, values, tier=tier, case=case, variant=choice.rule)

    return pl.concat(
        [
            row("coarse_kl", "nats", one.distance.kl.tolist()),
            row("coarse_top1", "ratio", [float(one.distance.same_top.mean())]),
            row("coarse_bytes", "bytes", [one.token_bytes]),
            row("coarse_restore", "s", one.restore_s.tolist(), "device"),
        ]
    )
