"""Name the files of a store and share its bytes out among them.

Follows: preallocated segments, so that the bound on bytes holds from the first moment on.
Leaves out: what is in the files.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import UsageError
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.config import MAX_SEGMENTS, MIN_SEGMENTS, SsdTierConfig
from workbench.tiering.ssd_tier.index import ROW

SNAPSHOT = "index"
SNAPSHOT_TEMP = "index.new"
LOCK = "lock"
LOCK_BYTES = 32
# Of a sealed store; the keys' own room bounds it, it is not part of the capacity.
KEYS = "keys"
_SEGMENT = "segment-"
# A segment's row in a snapshot.
SEGMENT_ROW_BYTES = 24


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{_SEGMENT}{number:05d}"


def segment_number(name: str) -> int | None:
    """Return which segment a file name means; None for every other file."""
    digits = name.removeprefix(_SEGMENT)
    is_segment = name.startswith(_SEGMENT) and digits.isdecimal()
    return int(digits) if is_segment and segment_name(int(digits)) == name else None


def is_ours(name: str) -> bool:
    """Return whether a file belongs to a store."""
    return name in (SNAPSHOT, SNAPSHOT_TEMP, LOCK) or segment_number(name) is not None


def snapshot_bytes(n_segments: int, n_blocks: int) -> int:
    """Return the length of an index snapshot: a page, then both tables, each padded to pages."""
    return PAGE_BYTES + _padded(n_segments * SEGMENT_ROW_BYTES) + _padded(n_blocks * ROW.size)


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // PAGE_BYTES) * PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Layout:
    """How many segments there are, and the most bytes that all files together may take."""

    n_segments: int
    segment_pages: int
    max_blocks: int

    @classmethod
    def of(cls, config: SsdTierConfig) -> Layout:
        """Fit as many segments into the capacity as leave room for two snapshots and the lock.

        Raises
        ------
        UsageError   if that are fewer than 3 or more than 4,096
        """
        max_blocks = config.block_limit()
        n_segments = config.capacity_bytes // config.segment_bytes
        layout = cls(n_segments, config.segment_bytes // PAGE_BYTES, max_blocks)
        while n_segments > 0 and layout.limit_bytes > config.capacity_bytes:
            n_segments -= 1
            layout = cls(n_segments, layout.segment_pages, max_blocks)
        if not MIN_SEGMENTS <= n_segments <= MAX_SEGMENTS:
            raise UsageError(
                f"ssd tier: capacity_bytes={config.capacity_bytes} holds {n_segments} segments of "
                f"{config.segment_bytes} bytes beside an index of {max_blocks} blocks; there must "
                f"be {MIN_SEGMENTS}..{MAX_SEGMENTS}: change capacity_bytes or segment_bytes"
            )
        return layout

    @property
    def segment_bytes(self) -> int:
        """Return the length of a segment's file."""
        return self.segment_pages * PAGE_BYTES

    @property
    def frame_pages_max(self) -> int:
        """Return the pages of the largest frame: it fits beside half a segment of moved blocks."""
        return self.segment_pages // 2 - 2

    @property
    def value_bytes_max(self) -> int:
        """Return the stored bytes of the largest block."""
        return min((self.frame_pages_max - 1) * PAGE_BYTES, (1 << 32) - 1)

    @property
    def limit_bytes(self) -> int:
        """Return the most bytes on disk, while a snapshot replaces another."""
        segments = self.n_segments * self.segment_bytes
        return segments + 2 * snapshot_bytes(self.n_segments, self.max_blocks) + LOCK_BYTES
