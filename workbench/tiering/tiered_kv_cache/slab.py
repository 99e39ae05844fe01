"""Hold the hot blocks' bytes: rows of one block each, taken once, or as they are needed.

Follows: memory.allocate (touched, page-aligned, huge pages where granted), so that the SSD tier
reads frames straight into their place.
Leaves out: which row holds what (directory.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.tiering.memory import MIB, allocate, give_back, require_memory, reserve
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

Bytes = NDArray[np.uint8]


class HotSlab:
    """Memory for as many blocks as fit into ``limit_bytes``, and addresses for as many as might."""

    def __init__(
        self,
        layout: BlockLayout,
        limit_bytes: int,
        min_slots: int = 1,
        max_bytes: int | None = None,
    ) -> None:
        """Take the memory; with ``max_bytes`` addresses for so much, and pages at their first use.

        Raises
        ------
        UsageError   if fewer than ``min_slots`` blocks fit, or the machine has not that much memory
        """
        n_first = limit_bytes // layout.block_bytes
        if n_first < min_slots:
            raise UsageError(
                f"the hot slab of {limit_bytes / MIB:,.1f} MiB holds {n_first} blocks of "
                f"{layout.block_bytes / MIB:,.2f} MiB, {min_slots} are needed; raise hot_bytes to "
                f"{min_slots * layout.block_bytes:,} or lower block_tokens"
            )
        first_bytes = n_first * layout.block_bytes
        require_memory(first_bytes, f"a hot slab of {n_first:,} blocks", "lower hot_bytes")
        self.n_slots = n_first if max_bytes is None else max_bytes // layout.block_bytes
        n_bytes = self.n_slots * layout.block_bytes
        self.block_bytes = layout.block_bytes
        taken = allocate(n_bytes) if max_bytes is None else reserve(n_bytes)
        self.memory: Bytes = taken.reshape(self.n_slots, -1)
        self._places = [layout.frame_slice(frame) for frame in range(layout.n_frames)]

    @property
    def n_frames(self) -> int:
        """Return how many frames a block has."""
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Return the bytes of all slots, whether they are granted or not; they never change."""
        return int(self.memory.nbytes)

    def block(self, slot: int) -> Bytes:
        """Return a whole block, page-aligned: a new view each time."""
        block: Bytes = self.memory[slot]
        return block

    def give_back(self, slot: int) -> None:
        """Let the system have a slot's pages until it is written to again."""
        give_back(self.memory[slot])

    def frame(self, slot: int, frame: int) -> Bytes:
        """Return one frame of a block, page-aligned: a new view each time."""
        return self.memory[slot, self._places[frame]]

    def frames(self, slot: int) -> list[Bytes]:
        """Return a block's frames, page-aligned, in their order."""
        return [self.frame(slot, frame) for frame in range(self.n_frames)]
