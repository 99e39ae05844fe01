"""Evict the block with the lowest sum of recency and frequency.

Follows: the seed story's score of recency plus frequency. LRFU (Lee et al., 2001) gives the sum its
unit: twice the uses are worth one half-life of age.
Leaves out: uses beyond 16, which count as 16.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic

from workbench.tiering.eviction.policy import (
    Key,
    first_unpinned,
    never,
    refuse_insert,
    require_capacity,
)

_MOST_USES = 16


class RecencyFrequency(Generic[Key]):
    """Score = last use + half-life x floor(log2(uses)), on a clock of insertions and uses.

    Blocks of one rank, floor(log2(uses)), go in the order of their last use. So the lowest score is
    at the front of one of five queues, and no heap is needed.

    Parameters
    ----------
    capacity_blocks : int              most blocks held
    half_life_uses : int, optional     age that twice the uses make up for; default: the capacity
    """

    name = "recency_frequency"

    def __init__(self, capacity_blocks: int, half_life_uses: int | None = None) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._half_life_uses = half_life_uses or capacity_blocks
        self._clock = 0
        self._uses: dict[Key, int] = {}
        # Of each rank: last use by key.
        self._queues: list[OrderedDict[Key, int]] = [
            OrderedDict() for _ in range(_rank(_MOST_USES) + 1)
        ]

    def __len__(self) -> int:
        return len(self._uses)

    def __contains__(self, key: object) -> bool:
        return key in self._uses

    def touch(self, key: Key) -> None:
        """Raise the block's score: it was used just now, and once more."""
        uses = self._uses[key]
        del self._queues[_rank(uses)][key]
        self._join(key, min(uses + 1, _MOST_USES))

    def insert(self, key: Key) -> None:
        """Give the block the score of one use, just now."""
        if key in self._uses or len(self._uses) >= self.capacity_blocks:
            refuse_insert(self, key)
        self._join(key, 1)

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the block with the lowest score."""
        victim, lowest = None, 0
        for rank, queue in enumerate(self._queues):
            key = first_unpinned(queue, is_pinned)
            if key is not None:
                score = queue[key] + self._half_life_uses * rank
                if victim is None or score < lowest:
                    victim, lowest = key, score
        if victim is not None:
            self.remove(victim)
        return victim

    def remove(self, key: Key) -> None:
        """Take the block out; its score is forgotten."""
        del self._queues[_rank(self._uses.pop(key))][key]

    def _join(self, key: Key, uses: int) -> None:
        self._clock += 1
        self._uses[key] = uses
        self._queues[_rank(uses)][key] = self._clock

    def check(self) -> None:
        """Assert that every block is in the queue of its rank, by last use."""
        assert len(self._uses) <= self.capacity_blocks, len(self._uses)
        assert sum(map(len, self._queues)) == len(self._uses)
        for rank, queue in enumerate(self._queues):
            assert all(_rank(self._uses[key]) == rank for key in queue), rank
            assert list(queue.values()) == sorted(queue.values()), rank


def _rank(uses: int) -> int:
    """Return floor(log2(uses))."""
    return uses.bit_length() - 1
