"""Keep the blocks that were read since they were last written.

Follows: second chance (CLOCK): one bit a block, cleared by the move.
Leaves out: how often, and how recently.
"""

from __future__ import annotations

from workbench.tiering.ssd_tier.index import Entry


class KeepAccessed:
    """Keeps what was read since it was last written."""

    def keeps(self, entry: Entry) -> bool:
        """Return whether the block was read since it was last written."""
        return entry.accessed
