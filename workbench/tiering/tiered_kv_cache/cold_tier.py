"""Put blocks on the SSD tier and get them back, frame by frame.

Follows: a frame of another model, tenant or codec is a miss; so is one of another length. Without a
codec, or to be attended as they are stored, frames are read straight into their place; else they
are read elsewhere and decoded there.
Leaves out: which blocks (directory.py), when (write_behind.py, loading.py, staging.py).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.closing import Closing
from workbench.tiering.compression import Kept
from workbench.tiering.compression.codec import StoredForm
from workbench.tiering.compression.none import NoCodec
from workbench.tiering.ssd_tier import Attributes, SsdTier
from workbench.tiering.ssd_tier.lookup import OnHits
from workbench.tiering.tiered_kv_cache.block_key import frame_key, frame_keys, is_first
from workbench.tiering.tiered_kv_cache.coded_frames import (
    BATCH_FRAMES,
    CodedFrames,
    Plain,
    Wanted,
)
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


class ColdTier(Closing):
    """One model's blocks on an SSD tier, which others may use too. Safe between threads."""

    def __init__(
        self,
        ssd: SsdTier | SharedStore,
        layout: BlockLayout,
        attributes: Attributes,
        codec: str = NoCodec.name,
    ) -> None:
        """Use a tier; ``attributes`` carry the codec's number.

        Raises
        ------
        UsageError   if the codec cannot take the layout
        """
        self._ssd = ssd
        self._layout = layout
        self._n_frames = layout.n_frames
        self._attributes = attributes
        self._coded: CodedFrames | None = None
        if codec != NoCodec.name:
            self._coded = CodedFrames(codec, layout, self._delete)
            self._attributes = replace(attributes, plain_bytes=layout.frame_bytes)
        self._lock = threading.Lock()
        self.read_bytes = 0
        self.written_bytes = 0

    def contains(self, key: bytes) -> bool:
        """Return whether all frames of a block are in the SSD tier's index."""
        return self._ssd.contains_all(frame_keys(key, self._n_frames))

    def put(
        self, blocks: Sequence[tuple[bytes, Sequence[Bytes]]], tail_tokens: int = 0
    ) -> list[bool]:
        """Write blocks, each a key and its frames; return which are stored whole.

        The bytes must not change until this returns.

        Parameters
        ----------
        tail_tokens : int   tokens of a sequence's last, partial block; 0: the blocks are full ones
        """
        plain = [
            (key, number, frame) for key, frames in blocks for number, frame in enumerate(frames)
        ]
        try:
            sizes = self._put(plain, tail_tokens)
        except _BROKEN:
            return [False] * len(blocks)
        n_frames = self._n_frames
        whole = [sizes[at : at + n_frames] for at in range(0, len(sizes), n_frames)]
        with self._lock:
            self.written_bytes += sum(sum(one) for one in whole if all(one))
        return [all(one) for one in whole]

    def _put(self, plain: Sequence[tuple[bytes, int, Bytes]], tail_tokens: int) -> list[int]:
        """Write frames; return the bytes of each that is stored, 0 for the others."""
        if self._coded is None:
            return self._put_all([(key, number, frame) for key, number, frame in plain])
        sizes = []
        for at in range(0, len(plain), BATCH_FRAMES):
            part = plain[at : at + BATCH_FRAMES]
            size = self._layout.block_tokens
            stored = self._coded.encode(
                [
                    Plain(number, frame, Kept(size if is_first(key) else 0, 0, tail_tokens))
                    for key, number, frame in part
                ]
            )
            named = zip(part, stored, strict=True)
            sizes += self._put_all([(key, number, frame) for (key, number, _), frame in named])
        return sizes

    def _put_all(self, frames: Sequence[tuple[bytes, int, Bytes]]) -> list[int]:
        attributes = self._attributes
        stored = self._ssd.put_many(
            (frame_key(key, number), frame.data, attributes) for key, number, frame in frames
        )
        return [
            frame.nbytes if is_stored else 0
            for is_stored, (_, _, frame) in zip(stored, frames, strict=True)
        ]

    def get(self, frames: Sequence[FrameAt], on_hits: OnHits | None = None) -> list[bool]:
        """Read frames; return which are there now.

        The views of the others may hold anything, and be written to until they die. ``on_hits`` may
        be told meanwhile how many from the first on are there (`SsdTier.get_many`).
        """
        if self._coded is not None:
            wanted = [Wanted(frame_key(one.key, one.frame), *one[1:]) for one in frames]
            return self._coded.fetch(wanted, self._read)
        keys = [frame_key(key, number) for key, number, _ in frames]
        try:
            buffers = [view.data for _, _, view in frames]
            payloads = self._ssd.get_many(keys, buffers, self._attributes, on_hits)
        except _BROKEN:
            return [False] * len(frames)
        n_bytes = self._layout.frame_bytes
        here = [
            payload is not None and payload.nbytes == n_bytes and _is_in(payload, view)
            for payload, (_, _, view) in zip(payloads, frames, strict=True)
        ]
        with self._lock:
            self.read_bytes += sum(here) * n_bytes
        return here

    def stored_form(self) -> StoredForm | None:
        """Return how frames are attended to as they are stored; None: they must be decoded."""
        return None if self._coded is None else self._coded.stored_form()

    def get_stored(self, frames: Sequence[FrameAt]) -> list[bool]:
        """Read frames as the codec stored them, of blocks of which it keeps no rows.

        Only where there is a `stored_form`; views have room for its ``frame_bytes``, and else are
        as for `get`.
        """
        assert self._coded is not None, "without a codec frames are stored as they are attended"
        wanted = [Wanted(frame_key(one.key, one.frame), *one[1:]) for one in frames]
        try:
            buffers = [one.view.data for one in wanted]
            payloads = self._ssd.get_many([one.key for one in wanted], buffers, self._attributes)
        except _BROKEN:
            return [False] * len(frames)
        with self._lock:
            self.read_bytes += sum(one.nbytes for one in payloads if one is not None)
        return [
            payload is not None
            and self._coded.accept(one, np.frombuffer(payload, np.uint8))
            and _is_in(payload, one.view)
            for payload, one in zip(payloads, wanted, strict=True)
        ]

    def _read(self, frames: Sequence[Wanted], on_hits: OnHits) -> Sequence[memoryview | None]:
        """Return the stored bytes of frames, None for what is not there."""
        keys = [one.key for one in frames]
        try:
            payloads = self._ssd.get_many(keys, None, self._attributes, on_hits)
        except _BROKEN:
            return [None] * len(frames)
        with self._lock:
            self.read_bytes += sum(one.nbytes for one in payloads if one is not None)
        return payloads

    def _delete(self, key: bytes) -> None:
        with contextlib.suppress(*_BROKEN):
            self._ssd.delete(key)

    def flush(self) -> bool:
        """Make everything written survive power loss; return whether it does."""
        try:
            return self._ssd.flush()
        except _BROKEN:
            return False

    @property
    def undecoded(self) -> int:
        """Return how many frames were read whole and could not be decoded."""
        return 0 if self._coded is None else self._coded.undecoded

    @property
    def blocks(self) -> int:
        """Return how many blocks' worth of frames the SSD tier holds, whoever put them."""
        return self._ssd.stats().blocks // self._n_frames

    @property
    def blocks_unread(self) -> int:
        """Return how many of those were written and never read back."""
        return self._ssd.stats().blocks_unread // self._n_frames

    def close(self) -> None:
        """Stop the thread that decodes; the SSD tier stays open."""
        if self._coded is not None:
            self._coded.close()


def _is_in(payload: memoryview, view: Bytes) -> bool:
    """Return whether a payload lies in a view, not in pooled memory; the tier cuts it of either."""
    source: object = payload.obj
    return source is view
