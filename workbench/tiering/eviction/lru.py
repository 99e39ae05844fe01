"""Evict the block whose last use is the longest ago.

Follows: least recently used, the default of most KV caches.
Leaves out: how often a block was used; one long scan pushes everything else out.
"""

from __future__ import annotations

from workbench.tiering.eviction.fifo import Fifo
from workbench.tiering.eviction.policy import Key


class Lru(Fifo[Key]):
    """FIFO's queue, but a use moves a block to its end."""

    name = "lru"

    def touch(self, key: Key) -> None:
        """Move the block to the end."""
        self._queue.renew(key)
