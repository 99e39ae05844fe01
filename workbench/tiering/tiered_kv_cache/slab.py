"""Hold the hot blocks' bytes: rows of one block each, taken once and never more.

Follows: memory.allocate (touched, page-aligned, huge pages where granted), so that the SSD tier
reads frames straight into their place.
Leaves out: which row holds what (directory.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.tiering.memory import MIB, allocate, require_memory
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

Bytes = NDArray[np.uint8]


class HotSlab:
    """Memory for as many blocks as fit into ``limit_bytes``."""

    def __init__(self, layout: BlockLayout, limit_bytes: int, min_slots: int = 1) -> None:
        """Take the memory.

        Raises
        ------
        UsageError   if fewer than ``min_slots`` blocks fit, or the machine has not that much memory
        """
        self.n_slots = limit_bytes // layout.block_bytes
        if self.n_slots < min_slots:
            raise UsageError(
                f"the hot slab of {limit_bytes / MIB:,.1f} MiB holds {self.n_slots} blocks of "
                f"{layout.block_bytes / MIB:,.2f} MiB, {min_slots} are needed; raise hot_bytes to "
                f"{min_slots * layout.block_bytes:,} or lower block_tokens"
            )
        n_bytes = self.n_slots * layout.block_bytes
        require_memory(n_bytes, f"a hot slab of {self.n_slots:,} blocks", "lower hot_bytes")
        self.block_bytes = layout.block_bytes
        self.memory: Bytes = allocate(n_bytes).reshape(self.n_slots, -1)
        self._places = [layout.frame_slice(frame) for frame in range(layout.n_frames)]

    @property
    def n_frames(self) -> int:
        """Return how many frames a block has."""
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the slab; they never change."""
        return int(self.memory.nbytes)

    def block(self, slot: int) -> Bytes:
        """Return a whole block, page-aligned: a new view each time."""
        block: Bytes = self.memory[slot]
        return block

    def frame(self, slot: int, frame: int) -> Bytes:
        """Return one frame of a block, page-aligned: a new view each time."""
        return self.memory[slot, self._places[frame]]

    def frames(self, slot: int) -> list[Bytes]:
        """Return a block's frames, page-aligned, in their order."""
        return [self.frame(slot, frame) for frame in range(self.n_frames)]
