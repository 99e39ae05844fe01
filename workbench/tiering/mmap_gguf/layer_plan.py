"""Decide which layers stay in memory when the weights are larger than a budget.

Every token uses all layers in order, so the one used last is the one needed latest again: keeping
what was used lately would keep nothing that is needed. Some layers therefore stay for good, the
others pass through two places, one in use and one being read.
Follows: Belady's rule for a cycle; the layers that pass are spread evenly between those that stay,
so that reading each has the time of several to compute.
Leaves out: bringing layers in (mapped_layers.py, direct_layers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import UsageError

# One layer in use, one being read.
PLACES = 2
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """Which layers stay and which pass.

    Attributes
    ----------
    passing : tuple of bool   a layer; the others stay
    place_bytes : int         the largest passing layer's bytes
    needed_bytes : int        the most that is in memory at a time; within the budget
    """

    passing: tuple[bool, ...]
    place_bytes: int
    needed_bytes: int

    def next_passing(self, layer: int) -> int:
        """Return the passing layer that is used next after a layer, over the end if need be.

        Raises
        ------
        ValueError   if none passes
        """
        count = len(self.passing)
        for step in range(1, count + 1):
            if self.passing[(layer + step) % count]:
                return (layer + step) % count
        raise ValueError("all layers stay; there is no next one to read")


def plan_layers(layer_bytes: Sequence[int], rest_bytes: int, budget_bytes: int) -> LayerPlan:
    """Keep as many layers as a budget allows.

    Parameters
    ----------
    layer_bytes : sequence of int   each layer's
    rest_bytes : int                what always stays (embedding, output)
    budget_bytes : int              for all of it

    Raises
    ------
    UsageError   if not even the rest and two layers fit; names the least budget
    """
    # One or two passing layers would have a place each and save nothing.
    for n_passing in (0, *range(PLACES + 1, len(layer_bytes) + 1)):
        plan = _plan(layer_bytes, rest_bytes, n_passing)
        if plan.needed_bytes <= budget_bytes:
            return plan
    raise UsageError(
        f"weights_budget of {budget_bytes / _MIB:,.1f} MiB is too small for this model: "
        f"{plan.needed_bytes / _MIB:,.1f} MiB hold its embedding, output and two layers"
    )


def _plan(layer_bytes: Sequence[int], rest_bytes: int, n_passing: int) -> LayerPlan:
    count = len(layer_bytes)
    # Layer i passes when another whole multiple of count / n_passing is reached with it.
    passing = tuple(
        (layer + 1) * n_passing // count > layer * n_passing // count for layer in range(count)
    )
    sizes = [size for size, passes in zip(layer_bytes, passing, strict=True) if passes]
    place_bytes = max(sizes, default=0)
    stay_bytes = sum(layer_bytes) - sum(sizes)
    return LayerPlan(
        passing, place_bytes, rest_bytes + stay_bytes + min(PLACES, n_passing) * place_bytes
    )
