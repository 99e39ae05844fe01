"""Decide which blocks of a tier go first: one policy a file, all behind one interface.

Follows: a registry by name, so that a cache, a simulation and a notebook ask for ``"lru"`` alike.
Leaves out: when to evict, which is the cache's to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.tiering.eviction.arc import Arc
from workbench.tiering.eviction.fifo import Fifo
from workbench.tiering.eviction.lfu import Lfu
from workbench.tiering.eviction.lru import Lru
from workbench.tiering.eviction.min import Min
from workbench.tiering.eviction.policy import Policy, never
from workbench.tiering.eviction.recency_frequency import RecencyFrequency
from workbench.tiering.eviction.s3_fifo import S3Fifo
from workbench.tiering.eviction.w_tinylfu import WTinyLfu
from workbench.tiering.named import pick

__all__ = ["POLICIES", "Min", "Policy", "create", "never"]

# Those that a cache can use; Min needs to know the future.
POLICIES: dict[str, Callable[[int], Policy[Any]]] = {
    Fifo.name: Fifo,
    Lru.name: Lru,
    Lfu.name: Lfu,
    RecencyFrequency.name: RecencyFrequency,
    Arc.name: Arc,
    S3Fifo.name: S3Fifo,
    WTinyLfu.name: WTinyLfu,
}


def create(name: str, capacity_blocks: int) -> Policy[Any]:
    """Return a new policy for a tier of so many blocks.

    Raises
    ------
    UsageError   for a name that is not registered, and for a capacity below 1
    """
    return pick("eviction policy", name, POLICIES)(capacity_blocks)
