"""Choose which cold blocks of a layer a query reads; what is in memory is attended anyway.

Follows: Quest's top-k pages (Tang et al., 2024); StreamingLLM's sinks and recent tokens (Xiao et
al., 2024) for layers that get no more than these.
Leaves out: reading (attending.py), and how much each layer deserves, which is measured
(workbench/benchmark).

A block's importance is the sum over query heads of the square root of its estimated weight: one
head's needle is not lost among other heads' hay. Chosen so, blocks of real text missed the least
attention of four rules that were tried; the plain sum is close behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.tiering.tiered_kv_cache.slot_pool import Slots

Floats = NDArray[np.float32]


class Selection(Protocol):
    """A rule that says which cold blocks are read."""

    def choose(self, layer: int, query: Floats, cold: Slots) -> Slots:
        """Return some of the cold blocks' numbers, ascending.

        Parameters
        ----------
        query : float32[query_heads, head_dim]   of the one token that attends
        cold : int64[n]                          ascending
        """
        ...


class Estimates(Protocol):
    """What tells how a query's attention is spread over blocks; `KeySummaries` does."""

    def weights(self, layer: int, query: Floats) -> Floats:
        """Return float32[n_blocks, query_heads], the share of each of the first blocks."""
        ...


class Budgets:
    """How many of its cold blocks each layer may read.

    ``fracs`` are 0..1, one a layer. A layer of 0 reads nothing: sinks and recent tokens are hot.
    """

    def __init__(self, fracs: Sequence[float]) -> None:
        """Take the fractions.

        Raises
        ------
        UsageError   if one is out of range
        """
        wrong = [frac for frac in fracs if not 0 <= frac <= 1]
        if wrong:
            raise UsageError(f"a layer's budget of {wrong[0]:g} must be 0..1 of its cold blocks")
        self.fracs = tuple(fracs)

    @classmethod
    def uniform(cls, frac: float, layers: int) -> Budgets:
        """Return the same fraction for every layer."""
        return cls([frac] * layers)

    @classmethod
    def shared_out(cls, frac: float, needs: Sequence[float]) -> Budgets:
        """Return budgets in proportion to needs whose mean is a fraction; none is above 1.

        Raises
        ------
        UsageError   if no layer needs anything
        """
        wanted = np.asarray(needs, np.float64)
        if wanted.min() < 0 or not wanted.sum():
            raise UsageError("layers' needs must be at least 0, and some above it")
        fracs = np.zeros(len(wanted))
        # What a full layer cannot take goes to the others.
        for _ in wanted:
            open_ones = (fracs < 1) & (wanted > 0)
            left = frac * len(wanted) - fracs[~open_ones].sum()
            if not open_ones.any():
                break
            fracs[open_ones] = np.minimum(1, left * wanted[open_ones] / wanted[open_ones].sum())
        return cls(fracs.tolist())

    def blocks(self, layer: int, n_cold: int) -> int:
        """Return how many of so many cold blocks a layer may read; never more than its share."""
        return int(self.fracs[layer] * n_cold + 1e-9)


class Important:
    """Those that weigh most by an estimate."""

    def __init__(self, estimates: Estimates, budgets: Budgets) -> None:
        self._estimates, self._budgets = estimates, budgets

    def choose(self, layer: int, query: Floats, cold: Slots) -> Slots:
        """As `Selection.choose`."""
        n_chosen = self._budgets.blocks(layer, len(cold))
        if not 0 < n_chosen < len(cold):
            return cold[:n_chosen]
        weights = self._estimates.weights(layer, query)[cold]
        importance = np.sqrt(weights).sum(axis=1)
        chosen = np.argpartition(importance, len(cold) - n_chosen)[len(cold) - n_chosen :]
        return np.sort(cold[chosen])


class Recent:
    """The newest, whatever the query."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    def choose(self, layer: int, query: Floats, cold: Slots) -> Slots:
        """As `Selection.choose`."""
        return cold[len(cold) - self._budgets.blocks(layer, len(cold)) :]


class OncePerFrame:
    """Another rule's choice for the first of some layers, kept for the others of their frame."""

    def __init__(self, rule: Selection, frame_layers: int) -> None:
        self._rule, self._frame_layers = rule, frame_layers
        self._chosen: Slots = np.empty(0, np.int64)

    def choose(self, layer: int, query: Floats, cold: Slots) -> Slots:
        """As `Selection.choose`."""
        if layer % self._frame_layers == 0:
            self._chosen = self._rule.choose(layer, query, cold)
        return self._chosen
