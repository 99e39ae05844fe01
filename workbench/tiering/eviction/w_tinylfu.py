"""Admit to the main part only what was used more often lately than what would have to go.

Follows: W-TinyLFU (Einziger, Friedman and Manes, 2017) as in Caffeine: a window of a hundredth, by
last use; a main part in two segments, of which four fifths are for blocks used again there.
Leaves out: Caffeine's hill climbing of the window's size, and its random admission.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import chain
from typing import Generic

from workbench.tiering.eviction.frequency_sketch import FrequencySketch
from workbench.tiering.eviction.policy import (
    Key,
    first_unpinned,
    never,
    refuse_insert,
    require_capacity,
)

_WINDOW_FRAC = 0.01
_PROTECTED_FRAC = 0.8


class WTinyLfu(Generic[Key]):
    """A window before a main part of two segments, all by last use, and a frequency sketch."""

    name = "w_tinylfu"

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._window_blocks = max(1, int(capacity_blocks * _WINDOW_FRAC))
        self._protected_blocks = int((capacity_blocks - self._window_blocks) * _PROTECTED_FRAC)
        self._window: OrderedDict[Key, None] = OrderedDict()
        self._probation: OrderedDict[Key, None] = OrderedDict()
        self._protected: OrderedDict[Key, None] = OrderedDict()
        self._queue_of: dict[Key, OrderedDict[Key, None]] = {}
        self._sketch = FrequencySketch(capacity_blocks)

    def __len__(self) -> int:
        return len(self._queue_of)

    def __contains__(self, key: object) -> bool:
        return key in self._queue_of

    def touch(self, key: Key) -> None:
        """Count the use; a block on probation is protected from now on."""
        queue = self._queue_of[key]
        if queue is self._probation:
            del queue[key]
            self._append(self._protected, key)
            if len(self._protected) > self._protected_blocks:
                self._append(self._probation, self._protected.popitem(last=False)[0])
        else:
            queue.move_to_end(key)
        self._sketch.add(key)

    def insert(self, key: Key) -> None:
        """Join the window; what no longer fits into it goes on probation."""
        if key in self._queue_of or len(self._queue_of) >= self.capacity_blocks:
            refuse_insert(self, key)
        self._sketch.add(key)
        self._append(self._window, key)
        if len(self._window) > self._window_blocks:
            self._append(self._probation, self._window.popitem(last=False)[0])

    def _append(self, queue: OrderedDict[Key, None], key: Key) -> None:
        queue[key] = None
        self._queue_of[key] = queue

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the oldest of a full window or of the main part, whichever was used less of late."""
        victim = first_unpinned(chain(self._probation, self._protected), is_pinned)
        if victim is None or len(self._window) >= self._window_blocks:
            candidate = first_unpinned(self._window, is_pinned)
            if candidate is not None and not self._beats(candidate, victim):
                victim = candidate
        if victim is not None:
            self.remove(victim)
        return victim

    def _beats(self, candidate: Key, victim: Key | None) -> bool:
        estimate = self._sketch.estimate
        return victim is not None and estimate(candidate) > estimate(victim)

    def remove(self, key: Key) -> None:
        """Take the block out; the sketch remembers its uses for a while."""
        del self._queue_of.pop(key)[key]

    def check(self) -> None:
        """Assert that every block is in its queue and that none is too long."""
        queues = (self._window, self._probation, self._protected)
        assert sum(map(len, queues)) == len(self) <= self.capacity_blocks
        assert all(self._queue_of[key] is queue for queue in queues for key in queue)
        assert len(self._window) <= self._window_blocks, len(self._window)
        assert len(self._protected) <= self._protected_blocks, len(self._protected)
