"""Measure what a model's answers lose when one group of layers alone has the coarser codec.

Follows: sensitivity of layers as mixed-precision quantisation measures it; scoring as of every
codec (codec_quality.py), on a text that no choice is judged by.
Leaves out: groups together; what they lose is taken to add up, which coarse_layers.py tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.codecs.codec_quality import Scoring
from workbench.benchmark.selection.coarse_choices import COARSE, FINE, alone, groups
from workbench.benchmark.selection.layer_needs import LayerNeeds

METRIC = "coarse_loss"


@dataclass(frozen=True, slots=True, eq=False)
class CoarseLosses:
    """What `measure` found.

    Attributes
    ----------
    kl : float64[n_groups]   mean KL when this group has the coarser codec, the others the finer
    fine_kl : float          mean KL when all have the finer
    layers, n_tokens : int   of the model; that were scored
    """

    kl: NDArray[np.float64]
    fine_kl: float
    layers: int
    n_tokens: int

    @property
    def per_layer(self) -> NDArray[np.float64]:
        """Return each layer's, which is its group's, float64[layers]."""
        return np.repeat(self.kl, [len(group) for group in groups(self.layers)])

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows: the KL of each group."""
        return pl.concat(
            metrics.rows(METRIC, "nats", [kl], variant=f"{group.start} to {group.stop - 1}")
            for kl, group in zip(self.kl, groups(self.layers), strict=True)
        )

    def table(self, needs: LayerNeeds, far: NDArray[np.float64]) -> pl.DataFrame:
        """Return a row a group: what each of three measures says of it."""
        return pl.DataFrame(
            [
                {
                    "layers": f"{group.start} to {group.stop - 1}",
                    "attention beyond sinks and recent": (
                        f"{100 * far[group.start : group.stop].mean():.1f} %"
                    ),
                    f"KL at {needs.frac:.0%} of its blocks": f"{need:.4f}",
                    f"KL with {COARSE} here alone": f"{kl:.6f}",
                    f"more than {FINE} everywhere": f"{kl - self.fine_kl:+.6f}",
                }
                for group, need, kl in zip(groups(self.layers), needs.kl, self.kl, strict=True)
            ]
        )


def measure(scoring: Scoring, text: str) -> CoarseLosses:
    """Score a text behind prefixes of which one group of layers after the other is coarse.

    Raises
    ------
    UsageError   if the text is too short

    Cost    ``layers / 3 + 2`` times the scored tokens, and the prefixes.
    """
    layers = scoring.scorer.config.layers
    codecs = [FINE, *(choice.codec for choice in alone(layers))]
    quality = scoring.measure(list(dict.fromkeys(codecs)), text)
    found = {damage.name: float(damage.kl.mean()) for damage in quality.damages}
    fine, *others = (found[codec] for codec in codecs)
    return CoarseLosses(np.array(others), fine, layers, quality.damages[0].kl.size)
