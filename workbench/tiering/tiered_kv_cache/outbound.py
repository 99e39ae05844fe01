"""Know which blocks the SSD tier is to have: promised to it, and those that leave memory for it.

Follows: a block that leaves keeps its slot until its bytes are written.
Leaves out: which blocks go (directory.py), and the writing (write_behind.py).
"""

from __future__ import annotations

from collections.abc import Iterator


class Outbound:
    """The blocks of one directory that are on their way out. Locking is the callers'."""

    def __init__(self) -> None:
        self._slots: dict[bytes, int] = {}
        self._promised: set[bytes] = set()
        self._to_write: list[bytes] = []

    def __contains__(self, key: bytes) -> bool:
        """Return whether a block leaves memory."""
        return key in self._slots

    def __len__(self) -> int:
        """Return how many blocks leave memory."""
        return len(self._slots)

    def slot(self, key: bytes) -> int | None:
        """Return the slot of a block that leaves memory, else None."""
        return self._slots.get(key)

    def leave(self, key: bytes, slot: int) -> None:
        """Note that a block leaves memory."""
        self._slots[key] = slot

    def end(self, key: bytes) -> int:
        """Take a block that left, or will not leave, off the list; return its slot."""
        return self._slots.pop(key)

    def promise(self, key: bytes) -> None:
        """Ask for a block to be written."""
        self._promised.add(key)
        self._to_write.append(key)

    def is_promised(self, key: bytes) -> bool:
        """Return whether a block waits to be written, or is being written."""
        return key in self._promised

    def answer(self, key: bytes) -> None:
        """Note that a promised block was written, or could not be."""
        self._promised.discard(key)

    def promise_again(self) -> None:
        """Ask once more for those that leave but could not be written."""
        for key in self._slots:
            if key not in self._promised:
                self.promise(key)

    def take_writes(self) -> list[bytes]:
        """Return the blocks to write that were not returned before, in order."""
        keys, self._to_write = self._to_write, []
        return keys

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Return the blocks that leave memory and their slots, the first one first."""
        return iter(self._slots.items())

    def check(self) -> None:
        """Assert that everything to be written is promised."""
        assert set(self._to_write) <= self._promised
