"""Say how big a store may grow, how long it may take and what it keeps.

Follows: every resource has a configured limit that holds.
Leaves out: what is fixed by the format (frame.py, snapshot.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from workbench.errors import UsageError
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.admission import Admission
from workbench.tiering.ssd_tier.admission.admit_all import AdmitAll
from workbench.tiering.ssd_tier.reinsertion import Reinsertion
from workbench.tiering.ssd_tier.reinsertion.keep_accessed import KeepAccessed

MIB = 1 << 20
MIN_SEGMENT_PAGES = 8
MIN_SEGMENTS = 3
# A segment's pages are counted in 32 bits, its file handles are kept open.
MAX_SEGMENT_BYTES = 1 << 40
MAX_SEGMENTS = 4096
_BYTES_PER_BLOCK = 32 << 10
_MIN_BLOCKS = 64


@dataclass(frozen=True, slots=True)
class SsdTierConfig:
    """How one store is run; sizes are fixed when the store is made, all else may change.

    Attributes
    ----------
    capacity_bytes : int            no byte more is ever on disk, snapshots and lock included
    segment_bytes : int             unit of reclaim, a multiple of 4 KiB; bounds the largest block
    max_blocks : int or None        bounds the index; None: one for every 32 KiB of capacity
    read_deadline_s : float         a get or get_many is over by then, whatever the device does
    write_deadline_s : float        so is a put, put_many, delete, flush, close
    flush_every_s : float or None   a thread flushes at least so often while there is something to
                                    flush: what a power loss can take; None: only `flush` does
    snapshot_every_segments : int   segments filled between two index snapshots
    errors_until_read_only : int    writes that fail in a row before the store takes no more
    read_only_retry_s : float       and how long until one write is tried again
    pool_bytes : int                memory kept for buffers
    compact_below_frac : float      0..1; a segment with less than this wanted is emptied first, and
                                    nothing of it is lost
    reinsert_frac : float           0..1; at most this much of a segment is written again by policy
    admission, reinsertion          make the policies; they are asked under the writer's lock
    """

    capacity_bytes: int
    segment_bytes: int = 64 * MIB
    max_blocks: int | None = None
    read_deadline_s: float = 10.0
    write_deadline_s: float = 10.0
    flush_every_s: float | None = 1.0
    snapshot_every_segments: int = 4
    errors_until_read_only: int = 5
    read_only_retry_s: float = 30.0
    pool_bytes: int = 256 * MIB
    compact_below_frac: float = 0.5
    reinsert_frac: float = 0.5
    admission: Callable[[], Admission] = AdmitAll
    reinsertion: Callable[[], Reinsertion] = KeepAccessed

    def __post_init__(self) -> None:
        problems = [f"{name}={value} must be {rule}" for name, value, rule in self._broken_rules()]
        if problems:
            raise UsageError([f"ssd tier: {problem}" for problem in problems])

    def _broken_rules(self) -> list[tuple[str, object, str]]:
        smallest = MIN_SEGMENT_PAGES * PAGE_BYTES
        fits = self.segment_bytes % PAGE_BYTES == 0
        fits = fits and smallest <= self.segment_bytes <= MAX_SEGMENT_BYTES
        rules = [
            ("segment_bytes", fits, f"a multiple of {PAGE_BYTES}, {smallest}..{MAX_SEGMENT_BYTES}"),
            ("max_blocks", self.max_blocks is None or self.max_blocks >= 1, "at least 1"),
            *(
                (name, _is_time(getattr(self, name)), "a positive, finite number of seconds")
                for name in ("read_deadline_s", "write_deadline_s", "read_only_retry_s")
            ),
            (
                "flush_every_s",
                self.flush_every_s is None or _is_time(self.flush_every_s),
                "a positive, finite number of seconds, or None",
            ),
            ("snapshot_every_segments", self.snapshot_every_segments >= 1, "at least 1"),
            ("errors_until_read_only", self.errors_until_read_only >= 1, "at least 1"),
            ("pool_bytes", self.pool_bytes >= 0, "at least 0"),
            *(
                (name, 0 <= getattr(self, name) <= 0.5, "0..0.5")
                for name in ("compact_below_frac", "reinsert_frac")
            ),
        ]
        return [(name, getattr(self, name), rule) for name, holds, rule in rules if not holds]

    def block_limit(self) -> int:
        """Return the most blocks that the index may hold."""
        if self.max_blocks is not None:
            return self.max_blocks
        return max(_MIN_BLOCKS, self.capacity_bytes // _BYTES_PER_BLOCK)


def _is_time(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds > 0
