"""The parts of one open cache, and the steps that take several of them.

Follows: one lock for all decisions, none while bytes move; whoever waits for a slot waits here.
Leaves out: the decisions themselves (directory.py) and the parts' own work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.tiering.tiered_kv_cache.block_key import BlockKeys
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier, FrameAt
from workbench.tiering.tiered_kv_cache.config import CacheConfig
from workbench.tiering.tiered_kv_cache.counts import CacheCounts
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.errors import CacheFullError
from workbench.tiering.tiered_kv_cache.loading import Loader
from workbench.tiering.tiered_kv_cache.packing import Packer
from workbench.tiering.tiered_kv_cache.slab import Bytes, HotSlab
from workbench.tiering.tiered_kv_cache.slot_pool import Slots
from workbench.tiering.tiered_kv_cache.stagings import Stagings
from workbench.tiering.tiered_kv_cache.write_behind import WriteBehind

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.sequence import CachedSequence


class Behind(NamedTuple):
    """What only a cache with an SSD tier has."""

    cold: ColdTier
    stagings: Stagings
    loader: Loader
    writer: WriteBehind


class Core:
    """What one cache is made of; safe to use from several threads."""

    def __init__(self, config: CacheConfig, keys: BlockKeys, cold: ColdTier | None) -> None:
        """Take the memory and start the threads, if there is a cold tier.

        Raises
        ------
        UsageError   if too few blocks fit into the memory that is granted
        """
        self.config = config
        self.layout = config.layout
        self.keys = keys
        self.min_slots = 1 if cold is None else 2
        self.slab = HotSlab(self.layout, config.hot_bytes, self.min_slots, config.max_hot_bytes)
        self.places = [self.layout.places(layer) for layer in range(config.geometry.layers)]
        self.packer = Packer(config.geometry, self.places, self.slab.memory)
        self.directory = _directory(config, self.slab, cold)
        # Taken around everything that touches the directory; notified when a slot becomes free.
        self.changed = threading.Condition(threading.RLock())
        self.counts = CacheCounts()
        self.sequences: set[CachedSequence] = set()
        self.behind: Behind | None = None
        if cold is not None:
            stagings = Stagings(
                self.layout, cold, config.staging_bytes, attend_stored=config.attend_stored
            )
            loader = Loader(self.directory, self.slab, cold, self.changed)
            waiting = config.write_queue_blocks
            writer = WriteBehind(self.directory, self.slab, cold, self.changed, waiting)
            self.behind = Behind(cold, stagings, loader, writer)

        self.limit(config.hot_bytes // self.layout.block_bytes)

    def limit(self, n_slots: int) -> None:
        """Keep to so many slots from now on; what leaves for that is written behind."""
        with self.changed:
            marks = _watermarks(self.config, n_slots, has_cold=self.behind is not None)
            self.directory.limit(n_slots, *marks)
            self.settle()
            self.changed.notify_all()

    @property
    def hot_bytes(self) -> int:
        """Return the memory of the slots that are granted."""
        return self.directory.slots.n_granted * self.layout.block_bytes

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

    def await_slot(self) -> None:
        """Wait, ``write_wait_s`` at most, while all slots are taken but some will be free.

        The lock is held.
        """
        directory, wait_s = self.directory, self.config.write_wait_s
        if not len(directory.slots):
            self.settle()
            self.changed.wait_for(
                lambda: len(directory.slots) or not directory.leaving_blocks, wait_s
            )

    def give_back(self, slots: Sequence[int]) -> None:
        """Free the slots of open blocks."""
        with self.changed:
            for slot in slots:
                self.directory.give_back(slot)
            self.changed.notify_all()

    def unhold(self, slots: Slots) -> None:
        """Take a hold on slots back."""
        with self.changed:
            self.directory.slots.unhold(slots)
            self.changed.notify_all()

    def close(self) -> None:
        """Write what would be written when it left memory, ``close_wait_s`` at most, and stop."""
        if self.behind is not None:
            self._write_hot(self.behind.writer)
            self.behind.writer.close()
            self.behind.loader.close()
            self.behind.stagings.close()
            self.behind.cold.close()

    def _write_hot(self, writer: WriteBehind) -> None:
        end = time.monotonic() + self.config.close_wait_s
        keys = self.directory.keys()
        # No more at once than the queue holds, or they would be dropped.
        for at in range(0, len(keys), self.config.write_queue_blocks):
            if not writer.drain(max(0.0, end - time.monotonic())):
                return
            with self.changed:
                self.directory.demand_writes(keys[at : at + self.config.write_queue_blocks])
                self.settle()
        writer.drain(max(0.0, end - time.monotonic()))

    def settle(self) -> None:
        """Hand what the directory wants written to the writer. The lock is held."""
        keys = self.directory.take_writes()
        if keys and self.behind is not None:
            self.behind.writer.offer(keys)

    @property
    def is_loading(self) -> bool:
        """Return whether any block is on its way. The lock is held."""
        return self.behind is not None and self.behind.loader.is_busy

    def is_coming(self, key: bytes, frame: int) -> bool:
        """Return whether a frame of a block is on its way, but not here. The lock is held."""
        return self.behind is not None and self.behind.loader.is_coming(key, frame)

    def wait_for(self, keys: Sequence[bytes], frame: int, timeout_s: float | None = None) -> None:
        """Wait until a frame of each of the blocks is here, or will not come. The lock is held."""
        if self.behind is not None:
            self.behind.loader.wait_for(keys, frame, timeout_s)

    def is_whole(self, key: bytes) -> bool:
        """Return whether all of a block is in memory. The lock is held."""
        is_hot = self.directory.slot(key) is not None
        return is_hot and not self.is_coming(key, self.layout.n_frames - 1)

    def copy_block(self, slot: int, source: int | bytes) -> None:
        """Copy a block, by its slot or its key, from whichever tier has it into an open slot.

        Raises
        ------
        LookupError   if its bytes cannot be had; the slot is given back
        """
        try:
            self.read_block(self.slab.block(slot), source)
        except LookupError as error:
            with self.changed:
                for view in error.args:
                    self.directory.slots.hold_while_alive(slot, view)
                self.give_back([slot])
            raise LookupError from None

    def read_block(self, into: Bytes, source: int | bytes) -> None:
        """Copy a block, by its slot or its key, from whichever tier has it.

        Parameters
        ----------
        into : uint8[block_bytes]   page-aligned

        Raises
        ------
        LookupError   if its bytes cannot be had, with the views that may still be written to
        """
        with self.changed:
            if isinstance(source, bytes):
                self.wait_for([source], self.layout.n_frames - 1)
            slot = self.directory.slot(source) if isinstance(source, bytes) else source
            held = np.array([] if slot is None else [slot], np.int64)
            self.directory.slots.hold(held)
        if slot is not None:
            into[:] = self.slab.block(slot)
        elif isinstance(source, bytes):
            self._read_cold(into, source)
        self.unhold(held)

    def _read_cold(self, into: Bytes, key: bytes) -> None:
        places = [self.layout.frame_slice(frame) for frame in range(self.layout.n_frames)]
        wanted = [FrameAt(key, frame, into[place]) for frame, place in enumerate(places)]
        here = self.behind.cold.get(wanted) if self.behind else [False] * len(wanted)
        missed = [one.view for one, is_here in zip(wanted, here, strict=True) if not is_here]
        if missed:
            raise LookupError(*missed)


def _directory(config: CacheConfig, slab: HotSlab, cold: ColdTier | None) -> Directory:
    high, low = _watermarks(config, slab.n_slots, has_cold=cold is not None)
    policy = config.policy(high)
    if cold is None:
        return Directory(policy, slab.n_slots, give_back=slab.give_back)
    return Directory(
        policy,
        slab.n_slots,
        low_blocks=low,
        write=config.write(),
        is_stored=cold.contains,
        give_back=slab.give_back,
    )


def _watermarks(config: CacheConfig, n_slots: int, *, has_cold: bool) -> tuple[int, int]:
    """Return the high and the low one, in blocks, of so many slots."""
    if not has_cold:
        return n_slots, n_slots
    high = max(1, min(n_slots - 1, int(n_slots * config.high_watermark_frac)))
    return high, int(n_slots * config.low_watermark_frac)
