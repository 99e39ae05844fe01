"""Evict the block that was used the fewest times; among those, the one used the longest ago.

Follows: "An O(1) algorithm for implementing the LFU cache eviction scheme" (Shah et al., 2010).
Leaves out: ageing; what was popular once stays until something is more popular.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from workbench.tiering.eviction.policy import Key, never, refuse_insert, require_capacity
from workbench.tiering.eviction.queue import Queue


class Lfu(Generic[Key]):
    """A queue for each number of uses, in the order of last use."""

    name = "lfu"

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._uses: dict[Key, int] = {}
        self._queues: dict[int, Queue[Key]] = {}

    def __len__(self) -> int:
        return len(self._uses)

    def __contains__(self, key: object) -> bool:
        return key in self._uses

    def touch(self, key: Key) -> None:
        """Move the block to the queue of one use more."""
        uses = self._uses[key]
        self._leave(key, uses)
        self._join(key, uses + 1)

    def insert(self, key: Key) -> None:
        """Join the queue of one use."""
        if key in self._uses or len(self._uses) >= self.capacity_blocks:
            refuse_insert(self, key)
        self._join(key, 1)

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the block at the front of the queue of fewest uses."""
        # Nearly always a block of one use can go, and nothing has to be sorted.
        victim = self._evict_of(1, is_pinned) if 1 in self._queues else None
        if victim is None:
            for uses in sorted(self._queues):
                victim = self._evict_of(uses, is_pinned)
                if victim is not None:
                    break
        return victim

    def _evict_of(self, uses: int, is_pinned: Callable[[Key], bool]) -> Key | None:
        queue = self._queues[uses]
        victim = queue.leave_oldest(is_pinned)
        if victim is not None:
            del self._uses[victim]
            if not queue.numbers:
                del self._queues[uses]
        return victim

    def remove(self, key: Key) -> None:
        """Take the block out; its uses are forgotten."""
        self._leave(key, self._uses.pop(key))

    def _join(self, key: Key, uses: int) -> None:
        self._uses[key] = uses
        queue = self._queues.get(uses)
        if queue is None:
            queue = self._queues[uses] = Queue()
        queue.numbers[key] = 0

    def _leave(self, key: Key, uses: int) -> None:
        queue = self._queues[uses]
        queue.leave(key)
        if not queue.numbers:
            del self._queues[uses]

    def check(self) -> None:
        """Assert that every block is in the queue of its uses and no queue is empty."""
        assert len(self._uses) <= self.capacity_blocks, len(self._uses)
        queued = {key: uses for uses, queue in self._queues.items() for key in queue.numbers}
        assert queued == self._uses
        assert sum(map(len, self._queues.values())) == len(self._uses)
        assert all(queue.numbers for queue in self._queues.values())
