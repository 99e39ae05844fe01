"""Write every block as soon as it is full.

Follows: HiCache's write_through; a block in memory is always on the SSD too, so demotion is free.
Leaves out: sparing the device; blocks that nobody asks for again are written as well.
"""

from __future__ import annotations


class WriteThrough:
    """Writes at the first moment."""

    name = "write_through"

    def on_seal(self, key: bytes, uses: int) -> bool:
        """Return True."""
        return True

    def on_demote(self, key: bytes, uses: int) -> bool:
        """Return True, for a block whose first write failed."""
        return True
