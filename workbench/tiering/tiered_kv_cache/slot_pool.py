"""Hand out the numbers of slots; one whose bytes are being read or written is not free yet.

Follows: pins on buffer frames of a database; balloons of virtual machines, for slots that are
withdrawn so that their memory can be used elsewhere.
Leaves out: what a slot holds (directory.py) and its bytes (slab.py).
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.int64]


def _keep(slot: int) -> None:
    """Do nothing with a slot's memory."""


class SlotPool:
    """The slots of one slab. Locking is the callers'.

    Parameters
    ----------
    n_slots : int
    give_back : callable   told of each slot that is withdrawn: its bytes are wanted by nobody
    """

    def __init__(self, n_slots: int, give_back: Callable[[int], None] = _keep) -> None:
        self._give_back = give_back
        self._withdrawn: list[int] = []
        self._n_to_withdraw = 0
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
            self._free_again(slot)

    def _free_again(self, slot: int) -> None:
        if len(self._withdrawn) < self._n_to_withdraw:
            self._withdrawn.append(slot)
            self._give_back(slot)
        else:
            self._free.append(slot)

    def limit(self, n_slots: int) -> None:
        """Hand out no more than so many from now on; those in use are withdrawn once they free."""
        self._collect()
        self._n_to_withdraw = len(self._holds) - n_slots
        while len(self._withdrawn) > self._n_to_withdraw:
            self._free.append(self._withdrawn.pop())
        # The highest ones first, so that what is given back is in few pieces.
        self._free.sort(reverse=True)
        n_now = max(0, min(len(self._free), self._n_to_withdraw - len(self._withdrawn)))
        now, self._free = self._free[:n_now], self._free[n_now:]
        for slot in now:
            self._free_again(slot)

    @property
    def n_granted(self) -> int:
        """Return the slots that are free or in use: all but those withdrawn."""
        return len(self._holds) - len(self._withdrawn)

    def hold(self, slots: Slots | int) -> None:
        """Note that the bytes of a slot, or of different ones, are being read or written."""
        self._holds[slots] += 1

    def unhold(self, slots: Slots | int) -> None:
        """Take a `hold` back."""
        self._holds[slots] -= 1
        if self._free_later:
            idle = [slot for slot in self._free_later if not self._holds_of[slot]]
            self._free_later.difference_update(idle)
            for slot in idle:
                self._free_again(slot)

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
        everything = [*used, *self._free, *self._free_later, *self._withdrawn]
        assert len(self._withdrawn) <= self._n_to_withdraw
        assert not self._free or len(self._withdrawn) == self._n_to_withdraw
        assert sorted(everything) == list(range(len(self._holds))), "a slot is lost, or in two uses"
        assert (self._holds >= 0).all()
