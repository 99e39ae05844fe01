"""Evict the block that came first.

Follows: first in, first out: the least bookkeeping there is, and the SSD tier's own order.
Leaves out: everything that use could tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from workbench.tiering.eviction.policy import Key, never, refuse_insert, require_capacity
from workbench.tiering.eviction.queue import Queue


class Fifo(Generic[Key]):
    """One queue; a use changes nothing."""

    name = "fifo"

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._queue: Queue[Key] = Queue()

    def __len__(self) -> int:
        return len(self._queue.numbers)

    def __contains__(self, key: object) -> bool:
        return key in self._queue.numbers

    def touch(self, key: Key) -> None:
        """Leave the block where it is."""
        self._queue.numbers[key]

    def insert(self, key: Key) -> None:
        """Join the end."""
        held = self._queue.numbers
        if key in held or len(held) >= self.capacity_blocks:
            refuse_insert(self, key)
        held[key] = 0

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the block at the front."""
        return self._queue.leave_oldest(is_pinned)

    def remove(self, key: Key) -> None:
        """Take the block out."""
        self._queue.leave(key)

    def check(self) -> None:
        """Assert that no more is held than fits."""
        assert len(self._queue) <= self.capacity_blocks, len(self._queue)
