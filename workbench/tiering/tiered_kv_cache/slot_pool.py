"""Hand out the numbers of slots; one whose bytes are being read or written is not free yet.

Follows: pins on buffer frames of a database.
Leaves out: what a slot holds (directory.py) and its bytes (slab.py).
"""

from __future__ import annotations

import weakref
from collections import deque

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.int64]


class SlotPool:
    """The slots of one slab. Locking is the callers'."""

    def __init__(self, n_slots: int) -> None:
        self._free = list(range(n_slots - 1, -1, -1))
        self._free_later: set[int] = set()
        self._died: deque[int] = deque()
        self._holds = np.zeros(n_slots, np.int32)
        # One number out of a view costs half of one out of an array.
        self._holds_of = self._holds.data

    def __len__(self) -> int:
        self._collect()
        return len(self._free)

    def take(self) -> int | None:
        """Return a free slot, or None."""
        self._collect()
        return self._free.pop() if self._free else None

    def let_go(self, slot: int) -> None:
        """Take a slot back; it is free once nobody holds it."""
        if self._holds_of[slot]:
            self._free_later.add(slot)
        else:
            self._free.append(slot)

    def hold(self, slots: Slots | int) -> None:
        """Note that the bytes of a slot, or of different ones, are being read or written."""
        self._holds[slots] += 1

    def unhold(self, slots: Slots | int) -> None:
        """Take a `hold` back."""
        self._holds[slots] -= 1
        if self._free_later:
            idle = [slot for slot in self._free_later if not self._holds_of[slot]]
            self._free_later.difference_update(idle)
            self._free += idle

    def hold_while_alive(self, slot: int, view: NDArray[np.uint8]) -> None:
        """Hold a slot until nobody has this very view of its bytes any more.

        A read that missed its deadline may be carried out later: until the engine lets go of the
        view, it may write there.
        """
        self.hold(slot)
        # Views die anywhere, even while a lock is held: appending needs none.
        weakref.finalize(view, self._died.append, slot).atexit = False

    def _collect(self) -> None:
        while self._died:
            self.unhold(self._died.popleft())

    def is_held(self, slot: int) -> bool:
        """Return whether a slot's bytes are being read or written."""
        return self._holds_of[slot] != 0

    def check(self, used: list[int]) -> None:
        """Assert that every slot is free or used, and none is both."""
        everything = [*used, *self._free, *self._free_later]
        assert sorted(everything) == list(range(len(self._holds))), "a slot is lost, or in two uses"
        assert (self._holds >= 0).all()
