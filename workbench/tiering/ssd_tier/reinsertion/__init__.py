"""Decide which blocks of a segment survive its reclaim: one policy a file.

Follows: reinsertion of log-structured caches (CacheLib Navy, Kangaroo's readmission).
Leaves out: sparse segments, whose blocks are all kept because moving them is cheap.
"""

from __future__ import annotations

from typing import Protocol

from workbench.tiering.ssd_tier.index import Entry


class Reinsertion(Protocol):
    """Asked for each live block of a segment about to be reclaimed."""

    def keeps(self, entry: Entry) -> bool:
        """Return whether the block is written again rather than evicted."""
