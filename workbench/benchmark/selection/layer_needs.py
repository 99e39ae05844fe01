"""Measure what it does to a model's answers when some layers pass over most of their old blocks.

Follows: one group of layers after the other is cut short, the rest stays exact; sensitivity of
layers as mixed-precision quantisation measures it.
Leaves out: disks: everything is in memory, and blocks are passed over as if they were cold.

With KL proportional to the inverse square of the fraction that is read, the least total comes
from fractions in proportion to the cube root; measured, the square root did a little better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.progress import track
from workbench.benchmark.selection.answers import Answers, distance
from workbench.benchmark.selection.real_text import KeysValues, hot_cache, token_major
from workbench.inference.llama import LlamaModel
from workbench.tiering.tiered_kv_cache import (
    Budgets,
    CachedSequence,
    Important,
    KeySummaries,
    SelectiveSequence,
)

METRIC = "layer_kl"
GROUP_LAYERS = 3


@dataclass(frozen=True, slots=True, eq=False)
class LayerNeeds:
    """What `measure` found.

    Attributes
    ----------
    kl : float64[n_groups]   mean KL when only this group reads but ``frac`` of its old blocks
    layers : int             of the model; groups are of three, the last may be smaller
    frac : float
    """

    kl: NDArray[np.float64]
    layers: int
    frac: float

    @property
    def needs(self) -> list[float]:
        """Return what each layer's budget is in proportion to."""
        roots = np.sqrt(np.maximum(self.kl, 0) + 1e-6)
        return [float(roots[layer // GROUP_LAYERS]) for layer in range(self.layers)]

    @property
    def groups(self) -> list[str]:
        """Return the groups' names."""
        starts = range(0, self.layers, GROUP_LAYERS)
        return [f"{at} to {min(at + GROUP_LAYERS, self.layers) - 1}" for at in starts]

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows: the KL of each group."""
        return pl.concat(
            metrics.rows(METRIC, "nats", [kl], case=f"frac={self.frac:g}", variant=group)
            for group, kl in zip(self.groups, self.kl, strict=True)
        )

    def table(self, far: NDArray[np.float64], frac: float) -> pl.DataFrame:
        """Return a row a group: mass beyond sinks and recent tokens, KL, and its budget."""
        fracs = Budgets.shared_out(frac, self.needs).fracs
        return pl.DataFrame(
            [
                {
                    "layers": group,
                    "attention beyond sinks and recent": f"{100 * far[at : at + 3].mean():.1f} %",
                    f"KL at {self.frac:.0%} of its blocks": f"{kl:.4f}",
                    f"budget of {frac:.0%} in all": f"{100 * fracs[at]:.1f} %",
                }
                for at, group, kl in zip(
                    range(0, self.layers, GROUP_LAYERS), self.groups, self.kl, strict=True
                )
            ]
        )


@dataclass(frozen=True, slots=True)
class NeedsPlan:
    """How it is measured: tokens a block, recent tokens always attended, fraction of the rest."""

    block_tokens: int = 16
    recent_tokens: int = 256
    frac: float = 0.1


def measure(
    model: LlamaModel, text: KeysValues, following: Sequence[int], plan: NeedsPlan
) -> LayerNeeds:
    """Decode the tokens behind a text once exactly, and once for every group of layers.

    Cost    ``layers / 3 + 1`` times the tokens.
    """
    with (
        hot_cache(model, text, plan.block_tokens, len(following)) as cache,
        cache.sequence() as sequence,
    ):
        sequence.append(text.token_ids, *token_major(text))
        summaries = KeySummaries(cache.layout)
        for layer, keys in enumerate(text.k):
            summaries.add(layer, keys)
        return _Probe(model, sequence, summaries, following, plan).needs()


class _Probe:
    """One text, whose following tokens are decoded again and again."""

    def __init__(
        self,
        model: LlamaModel,
        sequence: CachedSequence,
        summaries: KeySummaries,
        following: Sequence[int],
        plan: NeedsPlan,
    ) -> None:
        self._model, self._sequence, self._summaries = model, sequence, summaries
        self._following, self._plan = following, plan
        self._n_context = sequence.n_tokens

    def needs(self) -> LayerNeeds:
        layers = self._model.config.layers
        exact = self._answers([1.0] * layers)
        starts = range(0, layers, GROUP_LAYERS)
        found = []
        for first in track(starts, "layer needs", len(starts)):
            group = range(first, first + GROUP_LAYERS)
            fracs = [self._plan.frac if layer in group else 1.0 for layer in range(layers)]
            found.append(distance(exact, self._answers(fracs)).kl.mean())
        return LayerNeeds(np.array(found), layers, self._plan.frac)

    def _answers(self, fracs: list[float]) -> Answers:
        size = self._plan.block_tokens
        old = np.arange(1, (self._n_context - self._plan.recent_tokens) // size)
        rule = Important(self._summaries, Budgets(fracs))
        selective = SelectiveSequence(
            self._sequence, rule, lambda: self._model.queries, self._summaries, passable=lambda: old
        )
        logits = [self._model.forward([one], selective) for one in self._following]
        selective.truncate(self._n_context)
        return Answers.of(logits, self._following)
