"""Keep no block: the oldest segment goes as a whole.

Follows: FIFO, the least writing that a cache can do.
Leaves out: everything that use could tell.
"""

from __future__ import annotations

from workbench.tiering.ssd_tier.index import Entry


class KeepNone:
    """Keeps nothing."""

    def keeps(self, entry: Entry) -> bool:
        """Return False."""
        return False
