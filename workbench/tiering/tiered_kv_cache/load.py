"""A prefix on its way into memory, and the sequence that starts with it.

Follows: a block that fails or is late shortens the prefix, whatever lies behind it.
Leaves out: the reading (loading.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache.core import Core
from workbench.tiering.tiered_kv_cache.found import Found, Tier
from workbench.tiering.tiered_kv_cache.loading import LoadJob
from workbench.tiering.tiered_kv_cache.sequence import CachedSequence


class Load(Closing):
    """What `TieredKVCache.load` found.

    Attributes
    ----------
    sequence : CachedSequence   begins with what was found; usable at once, `wait` tells how far
    """

    def __init__(
        self, core: Core, sequence: CachedSequence, found: Sequence[Found], job: LoadJob
    ) -> None:
        """Use `TieredKVCache.load`."""
        self.sequence = sequence
        self._core = core
        self._found = found
        self._job = job
        self._filled = {fill.key for fill in job.fills}
        self._counted = False

    def wait(self, layer: int | None = None) -> int:
        """Return how many tokens' keys and values are there up to a layer (None: in all layers).

        Waits until they are all there, or the deadline. Then the sequence is cut to the tokens that
        are: a later layer may have fewer, and then the earlier ones have to be computed again from
        there. Blocks that were found cold and stay so, for want of room, are there.
        """
        layout = self._core.layout
        frame = layout.n_frames - 1 if layer is None else layout.frame_of(layer)
        with self._core.changed:
            self._core.wait_for([one.key for one in self._found], frame, self._left_s())
            n_blocks, cause = self._count_here(frame)
            self.sequence.shorten(n_blocks)
            if cause or frame == layout.n_frames - 1:
                self._count(n_blocks, cause)
        return self.sequence.n_tokens

    def close(self) -> None:
        """Stop loading and close the sequence; what has come whole stays hot."""
        with self._core.changed:
            self._job.cancelled = True
            self._count(*self._count_here(self._core.layout.n_frames - 1))
        self.sequence.close()

    def _left_s(self) -> float | None:
        return None if self._job.end is None else max(0.0, self._job.end - time.monotonic())

    def _count_here(self, frame: int) -> tuple[int, str]:
        """Return how many blocks from the first on are there, and why not the next one."""
        core = self._core
        for number, found in enumerate(self._found):
            if core.is_coming(found.key, frame):
                return number, "misses_late"
            tier = core.directory.where(found.key)
            if tier is None:
                return number, "misses_failed"
            if tier is Tier.COLD and self._job.late and found.key in self._filled:
                return number, "misses_late"
        return len(self._found), ""

    def _count(self, n_blocks: int, cause: str) -> None:
        """Count the lookups, once: what was found but is not there is a miss."""
        if self._counted:
            return
        self._counted = True
        counts = self._core.counts
        for found in self._found[:n_blocks]:
            counts.hot_hits += found.tier is Tier.HOT
            counts.cold_hits += found.tier is Tier.COLD
            counts.network_hits += found.tier is Tier.NETWORK
        n_lost = len(self._found) - n_blocks
        counts.lookups += len(self._found)
        if cause:
            setattr(counts, cause, getattr(counts, cause) + n_lost)
