"""Decide which blocks are worth a write: one policy a file.

Follows: admission as a policy of its own (CacheLib, Kangaroo); writes wear the device.
Leaves out: what stays once admitted (reinsertion).
"""

from __future__ import annotations

from typing import Protocol


class Admission(Protocol):
    """Asked once for each put of a block that is not stored yet; may keep its own memory."""

    def admits(self, key: bytes, stored_bytes: int) -> bool:
        """Return whether the block is to be written."""
