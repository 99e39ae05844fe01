"""Balance blocks used once against blocks used again, by what was evicted too early.

Follows: ARC (Megiddo and Modha, FAST'03). Its two lists of ghosts, keys of evicted blocks, move the
target: a ghost that comes back says which side was too small.
Leaves out: one step of haste. The paper moves the target before it makes room for the block that
missed; here room is made first, because a cache makes room before it knows for which block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from workbench.tiering.eviction.policy import Key, never, refuse_insert, require_capacity
from workbench.tiering.eviction.queue import Queue


class Arc(Generic[Key]):
    """Two queues by last use, each with its ghosts; at most as many ghosts as blocks fit."""

    name = "arc"

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._once: Queue[Key] = Queue()  # the paper's T1
        self._again: Queue[Key] = Queue()  # T2
        self._once_ghosts: Queue[Key] = Queue()  # B1
        self._again_ghosts: Queue[Key] = Queue()  # B2
        self._once_target = 0.0  # p, blocks

    def __len__(self) -> int:
        return len(self._once.numbers) + len(self._again.numbers)

    def __contains__(self, key: object) -> bool:
        return key in self._once.numbers or key in self._again.numbers

    def touch(self, key: Key) -> None:
        """Move the block to the end of those used again."""
        if key in self._once.numbers:
            self._once.leave(key)
            self._again.numbers[key] = 0
        else:
            self._again.renew(key)

    def insert(self, key: Key) -> None:
        """Join the blocks used once, or, coming back as a ghost, those used again."""
        once, again = self._once.numbers, self._again.numbers
        if key in once or key in again or len(once) + len(again) >= self.capacity_blocks:
            refuse_insert(self, key)
        if key in self._once_ghosts.numbers or key in self._again_ghosts.numbers:
            self._learn(key)
            again[key] = 0
        else:
            once[key] = 0
            self._forget_ghosts()

    def _learn(self, key: Key) -> None:
        """Move the target towards the side whose ghost came back."""
        n_once, n_again = len(self._once_ghosts.numbers), len(self._again_ghosts.numbers)
        if key in self._once_ghosts.numbers:
            step = max(1.0, n_again / n_once)
            self._once_target = min(float(self.capacity_blocks), self._once_target + step)
            self._once_ghosts.leave(key)
        else:
            step = max(1.0, n_once / n_again)
            self._once_target = max(0.0, self._once_target - step)
            self._again_ghosts.leave(key)

    def _forget_ghosts(self) -> None:
        most = self.capacity_blocks
        n_once, n_again = len(self._once_ghosts.numbers), len(self._again_ghosts.numbers)
        if n_once + len(self._once.numbers) > most:
            self._once_ghosts.leave_oldest()
        elif n_once + n_again > most:
            self._again_ghosts.leave_oldest()

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the oldest of the side that is above its target, and keep its key as a ghost."""
        once_first = len(self._once.numbers) > self._once_target
        for is_once in (once_first, not once_first):
            victim = (self._once if is_once else self._again).leave_oldest(is_pinned)
            if victim is not None:
                ghosts = self._once_ghosts if is_once else self._again_ghosts
                ghosts.numbers[victim] = 0
                self._forget_ghosts()
                return victim
        return None

    def remove(self, key: Key) -> None:
        """Take the block out; it leaves no ghost."""
        (self._once if key in self._once.numbers else self._again).leave(key)

    def check(self) -> None:
        """Assert that no key is in two queues and that blocks and ghosts are bounded."""
        ghosts = {**self._once_ghosts.numbers, **self._again_ghosts.numbers}
        held = {**self._once.numbers, **self._again.numbers}
        assert len(held) == len(self) <= self.capacity_blocks, len(self)
        assert len(ghosts) == len(self._once_ghosts) + len(self._again_ghosts)
        assert len(ghosts) <= self.capacity_blocks, len(ghosts)
        assert not held.keys() & ghosts.keys()
        assert 0 <= self._once_target <= self.capacity_blocks, self._once_target
