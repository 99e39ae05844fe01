"""Decide which layers stay in memory when the weights are larger than a budget.

Every token uses all layers in order, so the one used last is the one needed latest again: keeping
what was used lately would keep nothing that is needed. Some layers therefore stay for good, the
others pass through a few places, some in use and one being read.
Follows: Belady's rule for a cycle; the layers that pass are spread between those that stay, so that
reading each has the time of several to compute. Multiples of the golden ratio spread them almost as
evenly as can be for every number of them, and what passes with a large budget passes with any
smaller one: a budget that moves by a layer reads or drops a layer.
Leaves out: bringing layers in (mapped_layers.py, direct_layers.py; packed: inference/weights.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import UsageError

# One layer in use, one being read.
PLACES = 2
_GOLDEN = (5**0.5 - 1) / 2
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


@dataclass(frozen=True, slots=True)
class Passage:
    """What passing layers take beside what stays.

    Attributes
    ----------
    places : int          whole layers that are in memory at a time
    staging_bytes : int   taken as soon as any layer passes
    """

    places: int = PLACES
    staging_bytes: int = 0


_BY_PLACES = Passage()


def plan_layers(
    layer_bytes: Sequence[int],
    rest_bytes: int,
    budget_bytes: int,
    passage: Passage = _BY_PLACES,
) -> LayerPlan:
    """Keep as many layers as a budget allows.

    Parameters
    ----------
    layer_bytes : sequence of int   each layer's
    rest_bytes : int                what always stays (embedding, output)
    budget_bytes : int              for all of it
    passage : Passage               what it takes to let layers pass

    Raises
    ------
    UsageError   if not even the rest and the places fit; names the least budget
    """
    # As many passing layers as places would have a place each and save nothing.
    for n_passing in (0, *range(passage.places + 1, len(layer_bytes) + 1)):
        plan = _plan(layer_bytes, rest_bytes, n_passing, passage)
        if plan.needed_bytes <= budget_bytes:
            return plan
    what = f"{passage.places} layers that pass" if any(plan.passing) else "all its layers"
    raise UsageError(
        f"weights_budget of {budget_bytes / _MIB:,.1f} MiB is too small for this model: its output "
        f"and {what} need {plan.needed_bytes / _MIB:,.1f} MiB; give at least "
        f"{plan.needed_bytes:,} bytes, or use a smaller model"
    )


def _plan(
    layer_bytes: Sequence[int], rest_bytes: int, n_passing: int, passage: Passage
) -> LayerPlan:
    count = len(layer_bytes)
    by_turn = sorted(range(count), key=lambda layer: (layer + 1) * _GOLDEN % 1)
    first = frozenset(by_turn[:n_passing])
    passing = tuple(layer in first for layer in range(count))
    sizes = [size for size, passes in zip(layer_bytes, passing, strict=True) if passes]
    place_bytes = max(sizes, default=0)
    stay_bytes = sum(layer_bytes) - sum(sizes)
    pass_bytes = passage.places * place_bytes + passage.staging_bytes if sizes else 0
    return LayerPlan(passing, place_bytes, rest_bytes + stay_bytes + pass_bytes)
