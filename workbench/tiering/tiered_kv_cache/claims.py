"""Remember who needs which block: sequences that are made of it, and names that pin it.

Follows: reference counts; a claim that is taken twice is given back twice.
Leaves out: what follows from a claim (directory.py); readers of a slot (slot_pool.py).
"""

from __future__ import annotations


class Claims:
    """The claims on one directory's blocks. Locking is the callers'."""

    def __init__(self) -> None:
        self._references: dict[bytes, int] = {}
        self._pins: dict[bytes, int] = {}

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

    def is_claimed(self, key: bytes) -> bool:
        """Return whether a sequence is made of a block, or a name wants it to stay hot."""
        return key in self._references or key in self._pins

    def check(self) -> None:
        """Assert that nothing was given back more often than taken."""
        assert min(self._references.values(), default=1) > 0
        assert min(self._pins.values(), default=1) > 0


def _take_one(counts: dict[bytes, int], key: bytes) -> bool:
    left = counts[key] - 1
    if left:
        counts[key] = left
        return False
    del counts[key]
    return True
