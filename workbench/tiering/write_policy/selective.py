"""Write a block once it has been used a second time.

Follows: HiCache's write_through_selective, at two uses.
Leaves out: blocks that leave memory before their second use; they are computed again.
"""

from __future__ import annotations

from workbench.errors import UsageError


class Selective:
    """Writes what proved to be of use, ``min_uses`` times counting the one that made it."""

    name = "selective"

    def __init__(self, min_uses: int = 2) -> None:
        if min_uses < 1:
            raise UsageError(f"write policy selective: min_uses={min_uses} must be at least 1")
        self._min_uses = min_uses

    def on_use(self, uses: int) -> bool:
        """Return whether the block was used often enough."""
        return uses >= self._min_uses

    def on_demote(self, uses: int) -> bool:
        """Return whether the block was used often enough, for one whose write failed."""
        return uses >= self._min_uses
