"""Admit to the main part only what was used more often lately than what would have to go.

Follows: W-TinyLFU (Einziger, Friedman and Manes, 2017) as in Caffeine: a window of a hundredth, by
last use; a main part in two segments, of which four fifths are for blocks used again there.
Leaves out: Caffeine's hill climbing of the window's size, and its random admission.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from workbench.tiering.eviction.frequency_sketch import FrequencySketch
from workbench.tiering.eviction.policy import Key, never, refuse_insert, require_capacity
from workbench.tiering.eviction.queue import Queue

_WINDOW_FRAC = 0.01
_PROTECTED_FRAC = 0.8


class WTinyLfu(Generic[Key]):
    """A window before a main part of two segments, all by last use, and a frequency sketch."""

    name = "w_tinylfu"

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = require_capacity(self.name, capacity_blocks)
        self._window_blocks = max(1, int(capacity_blocks * _WINDOW_FRAC))
        self._protected_blocks = int((capacity_blocks - self._window_blocks) * _PROTECTED_FRAC)
        self._window: Queue[Key] = Queue()
        self._probation: Queue[Key] = Queue()
        self._protected: Queue[Key] = Queue()
        self._sketch = FrequencySketch(capacity_blocks)

    def __len__(self) -> int:
        main = len(self._probation.numbers) + len(self._protected.numbers)
        return main + len(self._window.numbers)

    def __contains__(self, key: object) -> bool:
        return (
            key in self._probation.numbers
            or key in self._protected.numbers
            or key in self._window.numbers
        )

    def touch(self, key: Key) -> None:
        """Count the use; a block on probation is protected from now on."""
        probation, protected = self._probation, self._protected
        if key in probation.numbers:
            probation.leave(key)
            held = protected.numbers
            held[key] = 0
            if len(held) > self._protected_blocks:
                demoted = protected.leave_oldest()
                assert demoted is not None, "nothing is protected"
                probation.numbers[demoted] = 0
        elif key in protected.numbers:
            protected.renew(key)
        else:
            self._window.renew(key)
        self._sketch.add(key)

    def insert(self, key: Key) -> None:
        """Join the window; what no longer fits into it goes on probation."""
        in_window, on_probation = self._window.numbers, self._probation.numbers
        protected = self._protected.numbers
        n_blocks = len(on_probation) + len(protected) + len(in_window)
        is_held = key in on_probation or key in protected or key in in_window
        if is_held or n_blocks >= self.capacity_blocks:
            refuse_insert(self, key)
        self._sketch.add(key)
        in_window[key] = 0
        if len(in_window) > self._window_blocks:
            pushed_out = self._window.leave_oldest()
            assert pushed_out is not None, "the window is empty"
            on_probation[pushed_out] = 0

    def evict(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take the oldest of a full window or of the main part, whichever was used less of late."""
        queue = self._probation
        victim = queue.oldest(is_pinned)
        if victim is None:
            queue = self._protected
            victim = queue.oldest(is_pinned)
        window = self._window
        if victim is None or len(window.numbers) >= self._window_blocks:
            candidate = window.oldest(is_pinned)
            if victim is None or (candidate is not None and not self._beats(candidate, victim)):
                queue, victim = window, candidate
        if victim is not None:
            queue.leave(victim)
        return victim

    def _beats(self, candidate: Key, victim: Key) -> bool:
        return self._sketch.estimate(candidate) > self._sketch.estimate(victim)

    def remove(self, key: Key) -> None:
        """Take the block out; the sketch remembers its uses for a while."""
        for queue in (self._probation, self._protected):
            if key in queue.numbers:
                queue.leave(key)
                return
        self._window.leave(key)

    def check(self) -> None:
        """Assert that no key is in two queues and that none is too long."""
        keys = {*self._window.numbers, *self._probation.numbers, *self._protected.numbers}
        assert len(keys) == len(self) <= self.capacity_blocks
        assert len(self._window) <= self._window_blocks, len(self._window)
        assert len(self._protected) <= self._protected_blocks, len(self._protected)
