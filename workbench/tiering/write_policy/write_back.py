"""Write a block when it leaves memory.

Follows: HiCache's write_back; what never leaves memory is never written.
Leaves out: surviving a crash; blocks that were still in memory are lost.
"""

from __future__ import annotations


class WriteBack:
    """Writes at the last moment."""

    name = "write_back"

    def on_seal(self, key: bytes, uses: int) -> bool:
        """Return False."""
        return False

    def on_demote(self, key: bytes, uses: int) -> bool:
        """Return True."""
        return True
