"""Encode frames on their way to the SSD tier, and decode those that come back beside the reads.

Follows: two threads take one batch of frames after another; while one waits for the device, the
other decodes. A frame that cannot be decoded is a miss.
Leaves out: the codecs themselves (workbench/tiering/compression), and the SSD tier (cold_tier.py).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from workbench.tiering import compression
from workbench.tiering.closing import Closing
from workbench.tiering.compression import Bytes, Codec, CodecError, Kept
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

# Encoded or read at once: enough for the device, while as many are decoded; fewer where a call has
# less than four times as many, so that its reads and its decoding overlap as well.
BATCH_FRAMES = 16
_BATCHES, _LEAST_FRAMES = 4, 4
_PAGE_BYTES = 4096


class Plain(NamedTuple):
    """A frame to encode: its number within its block, its bytes, rows that are kept."""

    number: int
    frame: Bytes
    kept: Kept


class Wanted(NamedTuple):
    """A frame that is wanted: the SSD tier's key of it, its number, and where it is to be."""

    key: bytes
    number: int
    view: Bytes


Read = Callable[[Sequence[Wanted]], Sequence[memoryview | None]]


class CodedFrames(Closing):
    """One codec for one layout's frames. Safe between threads, each of which has its own scratch.

    Attributes
    ----------
    undecoded : int   frames whose stored bytes were whole, but not what the codec writes
    """

    def __init__(
        self, codec: str, layout: BlockLayout, on_undecoded: Callable[[bytes], None]
    ) -> None:
        """Check that the codec and the layout fit.

        Parameters
        ----------
        on_undecoded : callable   is told the key of a frame that will never be decoded

        Raises
        ------
        UsageError   if codec and layout do not fit
        """
        self._name, self._layout, self._on_undecoded = codec, layout, on_undecoded
        self._local = threading.local()
        self._local.codec = compression.create(codec, layout)
        n_pages = -(-self._local.codec.max_stored_bytes // _PAGE_BYTES)
        self._row_bytes = n_pages * _PAGE_BYTES
        self._lock = threading.Lock()
        self._helper = ThreadPoolExecutor(1, "kv-cold-decoder")
        self.undecoded = 0

    def encode(self, frames: Sequence[Plain]) -> list[Bytes]:
        """Return the stored bytes of at most `BATCH_FRAMES` frames, good until the next call."""
        codec, rows = self._codec(), self._rows()
        stored = []
        for row, one in zip(rows, frames, strict=False):
            stored.append(row[: codec.encode(one.frame, one.number, row, one.kept)])
        return stored

    def fetch(self, frames: Sequence[Wanted], read: Read) -> list[bool]:
        """Read and decode frames; return which are here now.

        Parameters
        ----------
        read : callable   returns the stored bytes of some of them, None for what is not there
        """
        size = min(BATCH_FRAMES, max(_LEAST_FRAMES, -(-len(frames) // _BATCHES)))
        batches = [frames[at : at + size] for at in range(0, len(frames), size)]
        here: list[list[bool]] = [[] for _ in batches]
        turns = itertools.count()

        def work() -> None:
            while (turn := next(turns)) < len(batches):
                batch = batches[turn]
                here[turn] = [self._decode(*one) for one in zip(batch, read(batch), strict=True)]

        other = self._helper.submit(work) if len(batches) > 1 else None
        try:
            work()
        finally:
            # One that was busy with somebody else has nothing left to do here.
            if other is not None and not other.cancel():
                other.result()
        return [is_here for batch in here for is_here in batch]

    def close(self) -> None:
        """Stop the second thread."""
        self._helper.shutdown()

    def _decode(self, one: Wanted, payload: memoryview | None) -> bool:
        if payload is None:
            return False
        try:
            self._codec().decode(np.frombuffer(payload, np.uint8), one.number, one.view)
        except CodecError:
            with self._lock:
                self.undecoded += 1
            self._on_undecoded(one.key)
            return False
        return True

    def _codec(self) -> Codec:
        """Return this thread's codec."""
        codec: Codec | None = getattr(self._local, "codec", None)
        if codec is None:
            codec = self._local.codec = compression.create(self._name, self._layout)
        return codec

    def _rows(self) -> Bytes:
        """Return this thread's memory for stored bytes, a row a frame, page-aligned."""
        rows: Bytes | None = getattr(self._local, "rows", None)
        if rows is None:
            rows = allocate(BATCH_FRAMES * self._row_bytes).reshape(BATCH_FRAMES, -1)
            self._local.rows = rows
        return rows
