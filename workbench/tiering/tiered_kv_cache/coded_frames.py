"""Encode frames on their way to the SSD tier, and decode those that come back beside the reads.

Follows: frames are read in batches; while one is read, a second thread decodes those before it, and
once all are read both do. A frame that cannot be decoded is a miss.
Leaves out: the codecs themselves (workbench/tiering/compression), and the SSD tier (cold_tier.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from workbench.tiering import compression
from workbench.tiering.closing import Closing
from workbench.tiering.compression import Bytes, Codec, CodecError, Kept
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

# As many frames as the device is asked for at once.
BATCH_FRAMES = 32
# The thread that decodes, and the one that reads, once it has.
_DECODERS = 2
_PAGE_BYTES = 4096


class Plain(NamedTuple):
    """A frame to encode: its number within its block, its bytes, rows that are kept."""

    number: int
    frame: Bytes
    kept: Kept


class Stored(NamedTuple):
    """Stored bytes to decode, None if they are not there, and where the frame is wanted."""

    number: int
    payload: memoryview | None
    view: Bytes


class CodedFrames(Closing):
    """One codec for one layout's frames. Safe between threads, each of which has its own scratch.

    Attributes
    ----------
    undecoded : int   frames whose stored bytes were whole, but not what the codec writes
    """

    def __init__(self, codec: str, layout: BlockLayout) -> None:
        """Check that the codec and the layout fit.

        Raises
        ------
        UsageError   if they do not
        """
        self._name, self._layout = codec, layout
        self._local = threading.local()
        self._local.codec = compression.create(codec, layout)
        n_pages = -(-self._local.codec.max_stored_bytes // _PAGE_BYTES)
        self._row_bytes = n_pages * _PAGE_BYTES
        self._lock = threading.Lock()
        self._decoder = ThreadPoolExecutor(1, "kv-cold-decoder")
        self.undecoded = 0

    def encode(self, frames: Sequence[Plain]) -> list[Bytes]:
        """Return the stored bytes of at most `BATCH_FRAMES` frames, good until the next call."""
        codec, rows = self._codec(), self._rows()
        stored = []
        for row, one in zip(rows, frames, strict=False):
            stored.append(row[: codec.encode(one.frame, one.number, row, one.kept)])
        return stored

    def decode_all(self, batches: Iterator[Sequence[Stored]]) -> list[bool]:
        """Decode batches as they come from the iterator, which reads them; return what is here."""
        decoding = _Decoding(self._decode)
        other = None
        try:
            for batch in batches:
                decoding.add(batch)
                # A single batch is decoded sooner than a second thread wakes up.
                if other is None and decoding.n_batches > 1:
                    other = self._decoder.submit(decoding.work)
        finally:
            decoding.end()
        decoding.work()
        # One that was busy with somebody else has nothing left to do here.
        if other is not None and not other.cancel():
            other.result()
        return decoding.here()

    def close(self) -> None:
        """Stop the thread that decodes."""
        self._decoder.shutdown()

    def _decode(self, one: Stored) -> bool:
        if one.payload is None:
            return False
        try:
            self._codec().decode(np.frombuffer(one.payload, np.uint8), one.number, one.view)
        except CodecError:
            with self._lock:
                self.undecoded += 1
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


class _Decoding:
    """Batches that any thread may decode, until there are no more."""

    def __init__(self, decode: Callable[[Stored], bool]) -> None:
        self._decode = decode
        self._batches: list[Sequence[Stored]] = []
        self._here: list[list[bool]] = []
        self._waiting: SimpleQueue[int | None] = SimpleQueue()

    @property
    def n_batches(self) -> int:
        """Return how many batches have come so far."""
        return len(self._batches)

    def add(self, batch: Sequence[Stored]) -> None:
        """Let a batch be decoded."""
        self._batches.append(batch)
        self._here.append([])
        self._waiting.put(len(self._batches) - 1)

    def end(self) -> None:
        """Say that there are no more batches."""
        for _ in range(_DECODERS):
            self._waiting.put(None)

    def work(self) -> None:
        """Decode batches as long as there are any."""
        while (number := self._waiting.get()) is not None:
            self._here[number] = [self._decode(one) for one in self._batches[number]]

    def here(self) -> list[bool]:
        """Return for every frame whether it was decoded."""
        return [is_here for batch in self._here for is_here in batch]
