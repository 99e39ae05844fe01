"""Evict the block whose last use is the longest ago.

Follows: least recently used, the default of most KV caches.
Leaves out: how often a block was used; one long scan pushes everything else out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic

from workbench.tiering.eviction.policy import (
    Key,
    first_unpinned,
    never,
    require_capacity,
    require_room,
)


class Lru(Generic[Key]):
    """One queue; a use moves a block to its end."""

    name = "lru"

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._queue: OrderedDict[Key, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._queue)

    def __contains__(self, key: object) -> bool:
        return key in self._queue

    def touch(self, key: Key) -> None:
        """Move the block to the end."""
        self._queue.move_to_end(key)

    def insert(self, key: Key) -> None:
        """Join the end."""
        require_room(self, key)
        self._queue[key] = None

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the block at the front."""
        victim = first_unpinned(self._queue, is_pinned)
        if victim is not None:
            del self._queue[victim]
        return victim

    def remove(self, key: Key) -> None:
        """Take the block out."""
        del self._queue[key]

    def check(self) -> None:
        """Assert that no more is held than fits."""
        assert len(self._queue) <= self.capacity_blocks, len(self._queue)
