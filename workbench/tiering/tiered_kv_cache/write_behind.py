"""Write blocks to the SSD tier behind the decode's back.

Follows: a bounded queue; what does not fit, or cannot be written, is dropped and counted.
Leaves out: which blocks (directory.py, write_policy), waiting for slots (core.py).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

import numpy as np

from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier
from workbench.tiering.tiered_kv_cache.counts import WriteCounts
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.slab import HotSlab

# As much as the SSD tier lays out at once, twice, so that one part is written beside the next.
_BATCH_BYTES = 16 << 20


class WriteBehind(Closing):
    """One thread that writes. ``changed`` is the lock around the directory."""

    def __init__(
        self,
        directory: Directory,
        slab: HotSlab,
        cold: ColdTier,
        changed: threading.Condition,
        max_waiting: int,
    ) -> None:
        self._directory = directory
        self._slab = slab
        self._cold = cold
        self._changed = changed
        self._max_waiting = max_waiting
        self._waiting: deque[bytes] = deque()
        self._writing: frozenset[bytes] = frozenset()
        self._stopping = False
        self.counts = WriteCounts()
        self._thread = threading.Thread(target=self._work, name="kv-write-behind", daemon=True)
        self._thread.start()

    @property
    def n_waiting(self) -> int:
        """Return the blocks that are not written yet."""
        return len(self._waiting) + len(self._writing)

    def offer(self, keys: Sequence[bytes]) -> None:
        """Take blocks to write, as many as the queue holds. The lock is held."""
        for key in keys:
            self.counts.offered += 1
            if len(self._waiting) < self._max_waiting and not self._stopping:
                self._waiting.append(key)
            else:
                self.counts.dropped += 1
                self._directory.unwritten(key)
        self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything offered was written or failed; return whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.n_waiting, timeout_s)

    def await_writes(self, keys: Sequence[bytes], timeout_s: float) -> None:
        """Wait until none of these blocks waits or is being written. The lock is held."""
        wanted = set(keys)
        self._changed.wait_for(
            lambda: wanted.isdisjoint(self._writing) and wanted.isdisjoint(self._waiting), timeout_s
        )

    def close(self) -> None:
        """Stop once the write under way has ended; what still waits is dropped."""
        with self._changed:
            self._stopping = True
            while self._waiting:
                self.counts.dropped += 1
                self._directory.unwritten(self._waiting.popleft())
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        at_once = max(1, _BATCH_BYTES // self._slab.block_bytes)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                batch = self._take(at_once)
            stored = self._cold.put([(key, self._slab.frames(slot)) for key, slot in batch])
            with self._changed:
                self._conclude(batch, stored)

    def _take(self, at_once: int) -> list[tuple[bytes, int]]:
        """Take the next blocks off the queue and hold their slots."""
        batch: list[tuple[bytes, int]] = []
        while self._waiting and len(batch) < at_once:
            key = self._waiting.popleft()
            slot = self._directory.slot_to_write(key)
            if slot is None:
                self.counts.gone += 1
                self._directory.unwritten(key)
                continue
            batch.append((key, slot))
        self._directory.slots.hold(np.array([slot for _, slot in batch], np.int64))
        self._writing = frozenset(key for key, _ in batch)
        return batch

    def _conclude(self, batch: Sequence[tuple[bytes, int]], stored: Sequence[bool]) -> None:
        for (key, _), is_stored in zip(batch, stored, strict=True):
            if is_stored:
                self.counts.written += 1
                self._directory.written(key)
            else:
                self.counts.failed += 1
                self._directory.unwritten(key)
        self._directory.slots.unhold(np.array([slot for _, slot in batch], np.int64))
        self._writing = frozenset()
        self._changed.notify_all()
