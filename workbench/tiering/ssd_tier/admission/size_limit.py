"""Admit blocks up to a size.

Follows: size thresholds of web caches; one huge block can displace hundreds.
Leaves out: how often a block is asked for.
"""

from __future__ import annotations

from workbench.errors import UsageError


class SizeLimit:
    """Writes blocks of at most ``max_bytes`` stored bytes."""

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 1:
            raise UsageError(f"size limit: max_bytes={max_bytes} admits nothing; give at least 1")
        self._max_bytes = max_bytes

    def admits(self, key: bytes, stored_bytes: int) -> bool:
        """Return whether the block is small enough."""
        return stored_bytes <= self._max_bytes
