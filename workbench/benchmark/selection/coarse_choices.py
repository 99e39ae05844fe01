"""Choose which layers of a model get the coarser of two codecs: by need, mass, or what they lose.

Follows: mixed-precision quantisation: int4 where little is lost by it, int8 elsewhere; layers in
groups as their needs are measured.
Leaves out: how the figures are measured that a choice goes by, and what comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from workbench.benchmark.selection.layer_needs import GROUP_LAYERS
from workbench.tiering.compression import spell

FINE, COARSE = "int8", "int4-hadamard"
UNIFORM = "all layers"
LEAST_NEED, LEAST_MASS, LEAST_LOSS = "least need", "least mass", "least loss"
# What knows nothing, and the control: where need is a guide, this one does the most harm.
SPREAD, MOST_NEED = "evenly spread", "most need"
RULES = (LEAST_NEED, LEAST_MASS, LEAST_LOSS, SPREAD, MOST_NEED)


class Choice(NamedTuple):
    """Which layers have the coarser codec.

    Attributes
    ----------
    rule : str       of `RULES`, or `UNIFORM`
    n_groups : int   groups of layers that have the coarser codec
    n_coarse : int   layers in them
    codec : str      as `compression.parse` reads it
    """

    rule: str
    n_groups: int
    n_coarse: int
    codec: str

    @property
    def name(self) -> str:
        """Return what it is called in tables."""
        if self.rule == UNIFORM:
            return f"{self.codec} in {UNIFORM}"
        return f"{COARSE} in {self.n_coarse} layers, {self.rule}"


class Guides(NamedTuple):
    """What a choice can go by, float[layers] each: the smallest are coarsened first.

    Attributes
    ----------
    needs : what is lost when old blocks are passed over (layer_needs.py)
    mass : attention beyond sinks and recent tokens (attention_mass.py)
    losses : what is lost when only this layer's group is coarse (coarse_losses.py)
    """

    needs: ArrayLike
    mass: ArrayLike
    losses: ArrayLike


def groups(layers: int) -> list[range]:
    """Return the layers of each group; the last may be smaller."""
    starts = range(0, layers, GROUP_LAYERS)
    return [range(at, min(at + GROUP_LAYERS, layers)) for at in starts]


def uniform(layers: int) -> list[Choice]:
    """Return the two choices between which all others lie."""
    n_groups = len(groups(layers))
    return [Choice(UNIFORM, 0, 0, FINE), Choice(UNIFORM, n_groups, layers, COARSE)]


def choices(guides: Guides, n_groups: Sequence[int], layers: int) -> list[Choice]:
    """Return the uniform choices, then every rule's for each number of groups."""
    by_need, by_mass, by_loss = (_ascending(values, layers) for values in guides)
    found = uniform(layers)
    for n in n_groups:
        spread = np.linspace(0, len(by_need) - 1, n).round().astype(int).tolist()
        picked = (by_need[:n], by_mass[:n], by_loss[:n], spread, by_need[::-1][:n])
        found += [_coarse(rule, some, layers) for rule, some in zip(RULES, picked, strict=True)]
    return found


def alone(layers: int) -> list[Choice]:
    """Return a choice a group, of which only that one is coarse."""
    return [_coarse("alone", [group], layers) for group in range(len(groups(layers)))]


def _coarse(rule: str, picked: Sequence[int], layers: int) -> Choice:
    members = groups(layers)
    coarse = [layer for group in picked for layer in members[group]]
    return Choice(rule, len(picked), len(coarse), spell(FINE, {COARSE: coarse}))


def _ascending(values: ArrayLike, layers: int) -> list[int]:
    """Return the groups' numbers, those of the smallest mean first."""
    numbers = np.asarray(values, np.float64)
    means = [numbers[group.start : group.stop].mean() for group in groups(layers)]
    order: list[int] = np.argsort(means, kind="stable").tolist()
    return order
