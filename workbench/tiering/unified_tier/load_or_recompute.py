"""Decide for a cold prefix: load it, compute it again, or both from either end.

Follows: Cake (Jin et al., 2024); costs are learnt from this machine's own loads and prefills.
Leaves out: carrying it out (unified_tier/filling.py).
"""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass

from workbench.tiering.unified_tier.cost_curve import CostCurve

# Both ends at once have to promise this much, for they disturb each other.
_WORTH_BOTH_FRAC = 0.85
_HALVINGS = 30


class Way(enum.StrEnum):
    """How the keys and values of a prefix are got."""

    LOAD = "load"
    RECOMPUTE = "recompute"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided, and what each way would take.

    Attributes
    ----------
    way : Way
    load_s, recompute_s, both_s : float   expected; NaN while one of the costs is not known
    computed_tokens : int                 from the front, where both ends would meet
    """

    way: Way
    load_s: float
    recompute_s: float
    both_s: float
    computed_tokens: int


class LoadOrRecompute:
    """Learns both costs, and chooses. Safe between threads.

    Parameters
    ----------
    bytes_per_token : int   of keys and values as they are stored
    """

    def __init__(self, bytes_per_token: int) -> None:
        self._bytes_per_token = bytes_per_token
        self._loading, self._computing = CostCurve(), CostCurve()
        self._lock = threading.Lock()

    def loaded(self, n_tokens: int, seconds: float) -> None:
        """Note how long so many tokens took to load."""
        with self._lock:
            self._loading.observe(float(n_tokens * self._bytes_per_token), 1.0, seconds)

    def computed(self, first: int, stop: int, seconds: float) -> None:
        """Note how long the tokens of some positions took to compute."""
        with self._lock:
            self._computing.observe(*_work(first, stop), seconds)

    def choose(self, n_tokens: int) -> Choice:
        """Decide for a prefix of so many tokens, all of them cold.

        While a cost is not known both ends are used, which teaches it.
        """
        with self._lock:
            if not (self._loading.is_known and self._computing.is_known):
                unknown = float("nan")
                return Choice(Way.BOTH, unknown, unknown, unknown, 0)
            load_s, recompute_s = self._load_s(n_tokens), self._compute_s(n_tokens)
            meeting = self._meeting(n_tokens)
            both_s = max(self._compute_s(meeting), self._load_s(n_tokens - meeting))
        way = Way.LOAD if load_s <= recompute_s else Way.RECOMPUTE
        if both_s < _WORTH_BOTH_FRAC * min(load_s, recompute_s):
            way = Way.BOTH
        return Choice(way, load_s, recompute_s, both_s, meeting)

    def recompute_s(self, first: int, stop: int) -> float | None:
        """Return how long computing some positions would take, None while that is not known."""
        with self._lock:
            if not self._computing.is_known:
                return None
            return self._computing.seconds(*_work(first, stop))

    def break_even_tokens(self, most: int) -> int | None:
        """Return from how many tokens on loading is the faster one; None: not up to ``most``.

        Raises
        ------
        ValueError   while a cost is not known
        """
        with self._lock:
            if self._load_s(most) > self._compute_s(most):
                return None
            low, high = 0, most
            while high - low > 1:
                middle = (low + high) // 2
                if self._load_s(middle) <= self._compute_s(middle):
                    high = middle
                else:
                    low = middle
            return high

    def _load_s(self, n_tokens: int) -> float:
        return self._loading.seconds(float(n_tokens * self._bytes_per_token), float(n_tokens > 0))

    def _compute_s(self, n_tokens: int) -> float:
        return self._computing.seconds(*_work(0, n_tokens))

    def _meeting(self, n_tokens: int) -> int:
        """Return how many tokens are computed by the time that the others are loaded."""
        low, high = 0, n_tokens
        for _ in range(_HALVINGS):
            middle = (low + high) // 2
            if self._compute_s(middle) < self._load_s(n_tokens - middle):
                low = middle
            else:
                high = middle
            if high - low <= 1:
                break
        return low


class Always(LoadOrRecompute):
    """Chooses the same way whatever it costs, and learns all the same."""

    def __init__(self, bytes_per_token: int, way: Way) -> None:
        super().__init__(bytes_per_token)
        self._way = way

    def choose(self, n_tokens: int) -> Choice:
        """Return the way."""
        nan = float("nan")
        return Choice(self._way, nan, nan, nan, 0)


def _work(first: int, stop: int) -> tuple[float, float]:
    """Return what computing some positions grows with: tokens, and the tokens they attend to."""
    return float(stop - first), (stop * stop - first * first) / 2
