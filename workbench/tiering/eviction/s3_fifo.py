"""Let most blocks pass through a small queue; those used there move on to a main queue.

Follows: S3-FIFO ("FIFO queues are all you need for cache eviction", SOSP'23): a tenth for the small
queue, two uses to move on, a second chance in the main queue for each use up to three.
Leaves out: lock-freedom, which is the paper's other half.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from workbench.tiering.eviction.policy import Key, never, refuse_insert, require_capacity
from workbench.tiering.eviction.queue import Queue

_SMALL_FRAC = 0.1
_USES_TO_MOVE_ON = 2
_MOST_USES = 3


class S3Fifo(Generic[Key]):
    """Three queues: small, main, and ghosts of what left the small one, as many as main fits."""

    name = "s3_fifo"

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._main_blocks = capacity_blocks - max(1, int(capacity_blocks * _SMALL_FRAC))
        self._small: Queue[Key] = Queue()  # uses since it came
        self._main: Queue[Key] = Queue()
        self._ghosts: Queue[Key] = Queue()

    def __len__(self) -> int:
        return len(self._small.numbers) + len(self._main.numbers)

    def __contains__(self, key: object) -> bool:
        return key in self._small.numbers or key in self._main.numbers

    def touch(self, key: Key) -> None:
        """Count the use; the block stays where it is."""
        held = self._small.numbers
        if key not in held:
            held = self._main.numbers
        uses = held[key]
        if uses < _MOST_USES:
            held[key] = uses + 1

    def insert(self, key: Key) -> None:
        """Join the small queue, or, coming back as a ghost, the main one."""
        small, main = self._small.numbers, self._main.numbers
        if key in small or key in main or len(small) + len(main) >= self.capacity_blocks:
            refuse_insert(self, key)
        if key in self._ghosts.numbers:
            self._ghosts.leave(key)
            main[key] = 0
        else:
            small[key] = 0

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the first little-used block of the small queue, or one of an overfull main queue."""
        while len(self._main.numbers) <= self._main_blocks:
            key = self._small.oldest(is_pinned)
            if key is None:
                break
            if self._small.leave(key) < _USES_TO_MOVE_ON:
                self._remember(key)
                return key
            self._main.numbers[key] = 0
        victim = self._evict_main(is_pinned)
        return self._evict_any_small(is_pinned) if victim is None else victim

    def _evict_main(self, is_pinned: Callable[[Key], bool]) -> Key | None:
        while (key := self._main.oldest(is_pinned)) is not None:
            uses = self._main.leave(key)
            if uses == 0:
                return key
            self._main.numbers[key] = uses - 1
        return None

    def _evict_any_small(self, is_pinned: Callable[[Key], bool]) -> Key | None:
        """Take a block of the small queue even if it was used: all of the main queue is pinned."""
        key = self._small.oldest(is_pinned)
        if key is not None:
            self._small.leave(key)
            self._remember(key)
        return key

    def _remember(self, key: Key) -> None:
        ghosts = self._ghosts.numbers
        ghosts[key] = 0
        if len(ghosts) > self._main_blocks:
            self._ghosts.leave_oldest()

    def remove(self, key: Key) -> None:
        """Take the block out; it leaves no ghost."""
        (self._small if key in self._small.numbers else self._main).leave(key)

    def check(self) -> None:
        """Assert that no key is in two queues and that blocks, ghosts and uses are bounded."""
        n_keys = len({*self._small.numbers, *self._main.numbers, *self._ghosts.numbers})
        assert n_keys == len(self) + len(self._ghosts)
        assert len(self) <= self.capacity_blocks, len(self)
        assert len(self._ghosts) <= self._main_blocks, len(self._ghosts)
        uses = {*self._small.numbers.values(), *self._main.numbers.values()}
        assert uses <= set(range(_MOST_USES + 1)), uses
