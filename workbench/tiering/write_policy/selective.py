"""Write a block when it leaves memory, if it was of use to a second request.

Follows: HiCache's write_through_selective (two uses), but writes as late as write_back does.
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

    def on_seal(self, key: bytes, uses: int) -> bool:
        """Return whether the block was used often enough in an earlier life."""
        return uses >= self._min_uses

    def on_demote(self, key: bytes, uses: int) -> bool:
        """Return whether the block was used often enough."""
        return uses >= self._min_uses
