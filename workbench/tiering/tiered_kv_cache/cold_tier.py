"""Put blocks on the SSD tier and get them back, frame by frame.

Follows: a frame of another model, tenant or codec is a miss; so is one of another length.
Leaves out: which blocks (directory.py), when (write_behind.py, loading.py, staging.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.ssd_tier import Attributes, SsdTier
from workbench.tiering.ssd_tier.lookup import OnHits
from workbench.tiering.tiered_kv_cache.block_key import frame_key, frame_keys
from workbench.tiering.tiered_kv_cache.layout import BlockLayout
from workbench.tiering.tiered_kv_cache.shared_store import SharedStore
from workbench.tiering.tiered_kv_cache.slab import Bytes

# The tier answers failures of the device by misses; these are a fork, and memory for its own work.
_BROKEN = (StorageError, MemoryError)


class FrameAt(NamedTuple):
    """One frame of a block, and where its bytes are wanted: page-aligned uint8[frame_bytes].

    The view is made for this read: as long as it lives, the device may write to it.
    """

    key: bytes
    frame: int
    view: Bytes


class ColdTier:
    """One model's blocks on an SSD tier, which others may use too. Safe between threads."""

    def __init__(
        self, ssd: SsdTier | SharedStore, layout: BlockLayout, attributes: Attributes
    ) -> None:
        self._ssd = ssd
        self._layout = layout
        self._n_frames = layout.n_frames
        self._attributes = attributes
        self._lock = threading.Lock()
        self.read_bytes = 0
        self.written_bytes = 0

    def contains(self, key: bytes) -> bool:
        """Return whether all frames of a block are in the SSD tier's index."""
        return self._ssd.contains_all(frame_keys(key, self._n_frames))

    def put(self, blocks: Sequence[tuple[bytes, Sequence[Bytes]]]) -> list[bool]:
        """Write blocks, each a key and its frames; return which are stored whole.

        The bytes must not change until this returns.
        """
        n_frames = self._n_frames
        offers = [
            (frame_key(key, number), frame.data, self._attributes)
            for key, frames in blocks
            for number, frame in enumerate(frames)
        ]
        try:
            stored = self._ssd.put_many(offers)
        except _BROKEN:
            return [False] * len(blocks)
        whole = [all(stored[at : at + n_frames]) for at in range(0, len(stored), n_frames)]
        with self._lock:
            self.written_bytes += sum(whole) * self._layout.block_bytes
        return whole

    def get(self, frames: Sequence[FrameAt], on_hits: OnHits | None = None) -> list[bool]:
        """Read frames; return which are there now.

        The views of the others may hold anything, and be written to until they die. ``on_hits`` may
        be told meanwhile how many from the first on are there (`SsdTier.get_many`).
        """
        keys = [frame_key(one.key, one.frame) for one in frames]
        try:
            buffers = [one.view.data for one in frames]
            payloads = self._ssd.get_many(keys, buffers, self._attributes, on_hits)
        except _BROKEN:
            return [False] * len(frames)
        here = [
            payload is not None and _is_all_of(payload, one.view)
            for payload, one in zip(payloads, frames, strict=True)
        ]
        with self._lock:
            self.read_bytes += sum(here) * self._layout.frame_bytes
        return here

    def flush(self) -> bool:
        """Make everything written survive power loss; return whether it does."""
        try:
            return self._ssd.flush()
        except _BROKEN:
            return False

    @property
    def blocks(self) -> int:
        """Return how many blocks' worth of frames the SSD tier holds, whoever put them."""
        return self._ssd.stats().blocks // self._n_frames

    @property
    def blocks_unread(self) -> int:
        """Return how many of those were written and never read back."""
        return self._ssd.stats().blocks_unread // self._n_frames


def _is_all_of(payload: memoryview, view: Bytes) -> bool:
    """Return whether a payload fills a view, not pooled memory; the tier cuts it from either."""
    source: object = payload.obj
    return source is view and payload.nbytes == view.nbytes
