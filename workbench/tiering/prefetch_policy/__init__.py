"""Decide which blocks to load before they are asked for: one policy a file, one interface.

Follows: CachedAttention's look-ahead into the queue of waiting requests.
Leaves out: the loading; the cache drops what is in memory already, and bounds what is in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, TypeVar

from workbench.tiering.named import pick
from workbench.tiering.prefetch_policy.none import NoPrefetch
from workbench.tiering.prefetch_policy.predicted import Predicted
from workbench.tiering.prefetch_policy.sequential import Sequential

__all__ = [
    "PREFETCH_POLICIES",
    "NoPrefetch",
    "Predicted",
    "PrefetchPolicy",
    "Sequential",
    "create",
]

Key = TypeVar("Key", bound=Hashable)


class PrefetchPolicy(Protocol):
    """Says what will be needed next, soonest first.

    Attributes
    ----------
    name : str   as registered, for example ``"predicted"``
    """

    @property
    def name(self) -> str:
        """Return the name under which it is registered."""

    def want(
        self, current: Sequence[Key], position: int, waiting: Sequence[Sequence[Key]]
    ) -> list[Key]:
        """Return the blocks to load now.

        Parameters
        ----------
        current : sequence of keys                 the prefix of the request being served
        position : int                             its block in use, 0-based; -1: none yet
        waiting : sequence of sequences of keys    prefixes of the requests that wait, next first
        """


PREFETCH_POLICIES: dict[str, Callable[[], PrefetchPolicy]] = {
    NoPrefetch.name: NoPrefetch,
    Sequential.name: Sequential,
    Predicted.name: Predicted,
}


def create(name: str) -> PrefetchPolicy:
    """Return a new policy.

    Raises
    ------
    UsageError   for a name that is not registered
    """
    return pick("prefetch policy", name, PREFETCH_POLICIES)()
