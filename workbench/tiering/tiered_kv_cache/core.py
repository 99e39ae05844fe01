"""The parts of one open cache, and the steps that take several of them.

Follows: one lock for all decisions, none while bytes move; whoever waits for a slot waits here.
Leaves out: the decisions themselves (directory.py) and the parts' own work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from workbench.tiering.tiered_kv_cache.block_key import BlockKeys
from workbench.tiering.tiered_kv_cache.claims import Slots
from workbench.tiering.tiered_kv_cache.config import CacheConfig
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.errors import CacheFullError
from workbench.tiering.tiered_kv_cache.slab import HotSlab


class Core:
    """What one cache is made of; safe to use from several threads."""

    def __init__(
        self, config: CacheConfig, keys: BlockKeys, slab: HotSlab, directory: Directory
    ) -> None:
        self.config = config
        self.layout = config.layout
        self.keys = keys
        self.slab = slab
        self.directory = directory
        # Taken around everything that touches the directory; notified when a slot becomes free.
        self.changed = threading.Condition(threading.RLock())

    def reserve(self, n_blocks: int) -> list[int]:
        """Take slots for blocks to be filled, all or none; waits while old bytes are written.

        Raises
        ------
        CacheFullError   if they cannot be had within ``write_wait_s``
        """
        slots: list[int] = []
        with self.changed:
            try:
                slots.extend(self._reserve_one() for _ in range(n_blocks))
            except CacheFullError:
                self.give_back(slots)
                raise
            finally:
                self.settle()
        return slots

    def _reserve_one(self) -> int:
        directory = self.directory
        end = time.monotonic() + self.config.write_wait_s
        while (slot := directory.reserve()) is None:
            self.settle()
            left = end - time.monotonic()
            if left > 0:
                self.changed.wait(left)
            elif not directory.give_up():
                raise CacheFullError(
                    f"no slot became free within write_wait_s={self.config.write_wait_s:g}: the "
                    "SSD tier is slow or failing, and every block on its way there is in use; "
                    "raise hot_bytes or close sequences"
                )
        return slot

    def give_back(self, slots: Sequence[int]) -> None:
        """Free the slots of open blocks."""
        with self.changed:
            for slot in slots:
                self.directory.give_back(slot)
            self.changed.notify_all()

    def unhold(self, slots: Slots) -> None:
        """Take a hold on slots back."""
        with self.changed:
            self.directory.unhold(slots)
            self.changed.notify_all()

    def settle(self) -> None:
        """Hand what the directory decided to those who move bytes."""

    def copy_block(self, destination: int, source: int | bytes) -> None:
        """Copy a block, by its slot or its key, into the slot of an open one.

        Raises
        ------
        LookupError   if its bytes cannot be had
        """
        with self.changed:
            slot = source if isinstance(source, int) else self.directory.slot(source)
            if slot is None:
                raise LookupError
            held = np.array([slot], np.int64)
            self.directory.claims.hold(held)
        self.slab.copy(destination, slot)
        self.unhold(held)
