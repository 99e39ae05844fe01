"""Evict the block with the lowest sum of recency and frequency.

Follows: the seed story's score of recency plus frequency. LRFU (Lee et al., 2001) gives the sum its
unit: twice the uses are worth one half-life of age.
Leaves out: uses beyond 16, which count as 16, and ages finer than a thousandth of the half-life.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic

from workbench.tiering.eviction.policy import Key, never, refuse_insert, require_capacity
from workbench.tiering.eviction.queue import Queue

_MOST_USES = 16
_TICKS_PER_HALF_LIFE = 1024


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
        self._tick_uses = max(1, self._half_life_uses // _TICKS_PER_HALF_LIFE)
        self._clock = 0
        # All keys of one tick share this one object: an integer of its own costs 32 bytes a key.
        self._now = 0
        self._uses: dict[Key, int] = {}
        self._queues: list[Queue[Key]] = [Queue() for _ in range(_rank(_MOST_USES) + 1)]
        self._queue_by_uses = [self._queues[max(0, _rank(uses))] for uses in range(_MOST_USES + 1)]
        # The lowest score of each queue, as last seen: it only rises, so one that is too high to
        # matter is not looked at.
        self._least_scores = [0] * len(self._queues)

    def __len__(self) -> int:
        return len(self._uses)

    def __contains__(self, key: object) -> bool:
        return key in self._uses

    def touch(self, key: Key) -> None:
        """Raise the block's score: it was used just now, and once more."""
        uses = self._uses[key]
        self._queue_by_uses[uses].leave(key)
        self._join(key, uses + 1 if uses < _MOST_USES else uses)

    def insert(self, key: Key) -> None:
        """Give the block the score of one use, just now."""
        if key in self._uses or len(self._uses) >= self.capacity_blocks:
            refuse_insert(self, key)
        self._join(key, 1)

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the block with the lowest score."""
        lowest_of: Queue[Key] | None = None
        lowest = math.inf
        for rank, least in enumerate(self._least_scores):
            queue = self._queues[rank]
            if least >= lowest or not queue.numbers:
                continue
            key = queue.oldest(is_pinned)
            if key is not None:
                score = queue.numbers[key] + self._half_life_uses * rank
                if is_pinned is never:
                    self._least_scores[rank] = score
                if score < lowest:
                    lowest_of, lowest = queue, score
        if lowest_of is None:
            return None
        victim = lowest_of.leave_oldest(is_pinned)
        assert victim is not None, "what was found is gone"
        del self._uses[victim]
        return victim

    def remove(self, key: Key) -> None:
        """Take the block out; its score is forgotten."""
        self._queue_by_uses[self._uses.pop(key)].leave(key)

    def _join(self, key: Key, uses: int) -> None:
        self._clock += 1
        if self._clock % self._tick_uses == 0:
            self._now = self._clock
        self._uses[key] = uses
        self._queue_by_uses[uses].numbers[key] = self._now

    def check(self) -> None:
        """Assert that every block is in the queue of its rank, by last use."""
        assert len(self._uses) <= self.capacity_blocks, len(self._uses)
        assert sum(map(len, self._queues)) == len(self._uses)
        for rank, queue in enumerate(self._queues):
            assert all(_rank(self._uses[key]) == rank for key in queue.numbers), rank
            times = list(queue.numbers.values())
            assert times == sorted(times), rank


def _rank(uses: int) -> int:
    """Return floor(log2(uses))."""
    return uses.bit_length() - 1
