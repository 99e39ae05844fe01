"""Let most blocks pass through a small queue; those used there move on to a main queue.

Follows: S3-FIFO ("FIFO queues are all you need for cache eviction", SOSP'23): a tenth for the small
queue, two uses to move on, a second chance in the main queue for each use up to three.
Leaves out: lock-freedom, which is the paper's other half.
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

_SMALL_FRAC = 0.1
_USES_TO_MOVE_ON = 2
_MOST_USES = 3


class S3Fifo(Generic[Key]):
    """Three queues: small, main, and ghosts of what left the small one, as many as main fits."""

    name = "s3_fifo"

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._main_blocks = capacity_blocks - max(1, int(capacity_blocks * _SMALL_FRAC))
        self._small: OrderedDict[Key, int] = OrderedDict()  # uses since it came
        self._main: OrderedDict[Key, int] = OrderedDict()
        self._ghosts: OrderedDict[Key, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def __contains__(self, key: object) -> bool:
        return key in self._small or key in self._main

    def touch(self, key: Key) -> None:
        """Count the use; the block stays where it is."""
        queue = self._small if key in self._small else self._main
        queue[key] = min(queue[key] + 1, _MOST_USES)

    def insert(self, key: Key) -> None:
        """Join the small queue, or, coming back as a ghost, the main one."""
        if key in self or len(self) >= self.capacity_blocks:
            refuse_insert(self, key)
        if key in self._ghosts:
            del self._ghosts[key]
            self._main[key] = 0
        else:
            self._small[key] = 0

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the first little-used block of the small queue, or one of an overfull main queue."""
        while len(self._main) <= self._main_blocks:
            key = first_unpinned(self._small, is_pinned)
            if key is None:
                break
            if self._small.pop(key) < _USES_TO_MOVE_ON:
                self._remember(key)
                return key
            self._main[key] = 0
        victim = self._evict_main(is_pinned)
        return self._evict_any_small(is_pinned) if victim is None else victim

    def _evict_main(self, is_pinned: Callable[[Key], bool]) -> Key | None:
        while (key := first_unpinned(self._main, is_pinned)) is not None:
            uses = self._main.pop(key)
            if uses == 0:
                return key
            self._main[key] = uses - 1
        return None

    def _evict_any_small(self, is_pinned: Callable[[Key], bool]) -> Key | None:
        """Take a block of the small queue even if it was used: all of the main queue is pinned."""
        key = first_unpinned(self._small, is_pinned)
        if key is not None:
            del self._small[key]
            self._remember(key)
        return key

    def _remember(self, key: Key) -> None:
        self._ghosts[key] = None
        while len(self._ghosts) > self._main_blocks:
            self._ghosts.popitem(last=False)

    def remove(self, key: Key) -> None:
        """Take the block out; it leaves no ghost."""
        if key in self._small:
            del self._small[key]
        else:
            del self._main[key]

    def check(self) -> None:
        """Assert that no key is in two queues and that blocks, ghosts and uses are bounded."""
        n_keys = len({*self._small, *self._main, *self._ghosts})
        assert n_keys == len(self) + len(self._ghosts)
        assert len(self) <= self.capacity_blocks, len(self)
        assert len(self._ghosts) <= self._main_blocks, len(self._ghosts)
        uses = {*self._small.values(), *self._main.values()}
        assert uses <= set(range(_MOST_USES + 1)), uses
