"""Admit a block the second time it is offered.

Follows: "cache on second hit" (Akamai, SIGCOMM CCR'15): most objects are never asked for again.
Leaves out: exact memory; keys are remembered by 8 bytes, in two generations.
"""

from __future__ import annotations

from workbench.errors import UsageError

_REMEMBERED_KEY_BYTES = 8


class SecondHit:
    """Writes blocks that were offered before, among the last ``memory_keys`` to twice as many."""

    def __init__(self, memory_keys: int = 65536) -> None:
        if memory_keys < 1:
            raise UsageError(
                f"second hit: memory_keys={memory_keys} remembers nothing; give at least 1"
            )
        self._memory_keys = memory_keys
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def admits(self, key: bytes, stored_bytes: int) -> bool:
        """Return whether the key was offered before; remember it if not."""
        seen = key[:_REMEMBERED_KEY_BYTES]
        if seen in self._young or seen in self._old:
            return True
        if len(self._young) >= self._memory_keys:
            self._old, self._young = self._young, set()
        self._young.add(seen)
        return False
