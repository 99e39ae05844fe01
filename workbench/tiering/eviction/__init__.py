"""Decide which blocks of a tier go first: one policy a file, all behind one interface.

Follows: a registry by name, so that a cache, a simulation and a notebook ask for ``"lru"`` alike.
Leaves out: when to evict, which is the cache's to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from workbench.tiering.eviction.lru import Lru
from workbench.tiering.eviction.policy import Policy, never
from workbench.tiering.named import pick

__all__ = ["POLICIES", "Policy", "create", "never"]

POLICIES: dict[str, Callable[[int], Policy[Any]]] = {policy.name: policy for policy in (Lru,)}


def create(name: str, capacity_blocks: int) -> Policy[Hashable]:
    """Return a new policy for a tier of so many blocks.

    Raises
    ------
    UsageError   for a name that is not registered, and for a capacity below 1
    """
    return pick("eviction policy", name, POLICIES)(capacity_blocks)
