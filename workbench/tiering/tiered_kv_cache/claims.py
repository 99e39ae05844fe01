"""Remember who needs which block: sequences made of it, names that pin it, readers of its slot.

Follows: reference counts; a claim that is taken twice is given back twice.
Leaves out: what follows from a claim (directory.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.int64]


class Claims:
    """The claims on one directory's blocks (by key) and slots (by number)."""

    def __init__(self, n_slots: int) -> None:
        self._references: dict[bytes, int] = {}
        self._pins: dict[bytes, int] = {}
        self._holds = np.zeros(n_slots, np.int32)

    def refer(self, key: bytes) -> None:
        """Note that one more open sequence is made of a block."""
        self._references[key] = self._references.get(key, 0) + 1

    def unrefer(self, key: bytes) -> bool:
        """Take a `refer` back; return whether it was the last one."""
        return _take_one(self._references, key)

    def is_referred(self, key: bytes) -> bool:
        """Return whether an open sequence is made of a block."""
        return key in self._references

    def pin(self, key: bytes) -> None:
        """Note that one more name wants a block to stay hot."""
        self._pins[key] = self._pins.get(key, 0) + 1

    def unpin(self, key: bytes) -> None:
        """Take a `pin` back."""
        _take_one(self._pins, key)

    def is_pinned(self, key: bytes) -> bool:
        """Return whether a name wants a block to stay hot."""
        return key in self._pins

    def hold(self, slots: Slots) -> None:
        """Note that the bytes of different slots are being read or written."""
        self._holds[slots] += 1

    def unhold(self, slots: Slots) -> None:
        """Take a `hold` back."""
        self._holds[slots] -= 1

    def is_held(self, slot: int) -> bool:
        """Return whether a slot's bytes are being read or written."""
        return bool(self._holds[slot])

    def check(self) -> None:
        """Assert that nothing was given back more often than taken."""
        assert (self._holds >= 0).all()
        assert min(self._references.values(), default=1) > 0
        assert min(self._pins.values(), default=1) > 0


def _take_one(counts: dict[bytes, int], key: bytes) -> bool:
    left = counts[key] - 1
    if left:
        counts[key] = left
        return False
    del counts[key]
    return True
