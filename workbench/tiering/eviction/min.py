"""Evict the block that is needed again the latest: nothing can do better, for it knows the future.

Follows: Belady's MIN (1966), without bypass: every block that missed is held for a moment.
Leaves out: being of use to a cache; it is the yardstick of simulations.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic

from workbench.tiering.eviction.policy import (
    Key,
    first_unpinned,
    never,
    refuse_insert,
    require_capacity,
)

NEVER = (1 << 63) - 1


class Min(Generic[Key]):
    """Ordered by the next use; first those that have none, in the order of their last use.

    Parameters
    ----------
    capacity_blocks : int            most blocks held
    next_uses : iterable of int      for each call of `touch` or `insert` to come, in their order:
                                     when its block is needed again, on a clock on which no two
                                     uses are at one time, or `NEVER`
    """

    name = "min"

    def __init__(self, capacity_blocks: int, next_uses: Iterable[int]) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._next_uses = iter(next_uses)
        self._next_use: dict[Key, int] = {}
        self._needed: dict[int, Key] = {}
        self._not_needed: OrderedDict[Key, None] = OrderedDict()
        # Negated, for the latest comes first; a time that has passed stays until it comes up.
        self._times: list[int] = []

    def __len__(self) -> int:
        return len(self._next_use)

    def __contains__(self, key: object) -> bool:
        return key in self._next_use

    def touch(self, key: Key) -> None:
        """Look up when the block is needed after this use."""
        self.remove(key)
        self._learn(key)

    def insert(self, key: Key) -> None:
        """Look up when the block is needed after this."""
        if key in self._next_use or len(self._next_use) >= self.capacity_blocks:
            refuse_insert(self, key)
        self._learn(key)

    def _learn(self, key: Key) -> None:
        next_use = self._next_use[key] = next(self._next_uses)
        if next_use == NEVER:
            self._not_needed[key] = None
        else:
            self._needed[next_use] = key
            heapq.heappush(self._times, -next_use)

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the block needed the latest; costs O(log blocks)."""
        victim = first_unpinned(self._not_needed, is_pinned)
        if victim is None:
            victim = self._needed_latest(is_pinned)
        if victim is not None:
            self.remove(victim)
        return victim

    def _needed_latest(self, is_pinned: Callable[[Key], bool]) -> Key | None:
        passed_over = []
        latest = None
        while self._times and latest is None:
            key = self._needed.get(-self._times[0])
            if key is not None and not is_pinned(key):
                latest = key
            else:
                time = heapq.heappop(self._times)
                passed_over += [time] if key is not None else []
        for time in passed_over:
            heapq.heappush(self._times, time)
        return latest

    def remove(self, key: Key) -> None:
        """Take the block out."""
        next_use = self._next_use.pop(key)
        if next_use == NEVER:
            del self._not_needed[key]
        else:
            del self._needed[next_use]

    def check(self) -> None:
        """Assert that no more is held than fits, and that every block can be found."""
        assert len(self._next_use) <= self.capacity_blocks, len(self._next_use)
        assert len(self._needed) + len(self._not_needed) == len(self._next_use)
        assert all(self._next_use[key] == time for time, key in self._needed.items())
        assert {-time for time in self._times} >= self._needed.keys()
