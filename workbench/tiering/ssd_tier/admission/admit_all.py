"""Admit every block that is offered.

Follows: the write-through default of cache tiers.
Leaves out: sparing the device.
"""

from __future__ import annotations


class AdmitAll:
    """Writes everything."""

    def admits(self, key: bytes, stored_bytes: int) -> bool:
        """Return True."""
        return True
