"""Encode frames on their way to the SSD tier, and decode those that come back beside the reads.

Follows: two threads take one batch of frames after another; while one waits for the device, the
other decodes. A frame that cannot be decoded is a miss.
Leaves out: the codecs themselves (workbench/tiering/compression), and the SSD tier (cold_tier.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from workbench.tiering import compression
from workbench.tiering.arriving import Arriving
from workbench.tiering.closing import Closing
from workbench.tiering.compression import Bytes, Codec, CodecError, Kept
from workbench.tiering.compression.codec import StoredForm
from workbench.tiering.memory import allocate
from workbench.tiering.ssd_tier.lookup import OnHits
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

# Encoded at once: enough for the device.
BATCH_FRAMES = 16
# Read at once, of the SSD tier's pool: the device is kept waiting between two such reads.
_WINDOW_BYTES = 64 << 20
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


Read = Callable[[Sequence[Wanted], OnHits], Sequence[memoryview | None]]


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
        read : callable   returns the stored bytes of some of them, None for what is not there; may
                          tell meanwhile of one after another from the first on
        """
        size = max(1, _WINDOW_BYTES // self._row_bytes)
        here = []
        for at in range(0, len(frames), size):
            here += self._fetch(frames[at : at + size], read)
        return here

    def _fetch(self, frames: Sequence[Wanted], read: Read) -> list[bool]:
        """Fetch so many frames as memory is taken for at once."""
        payloads: list[memoryview | None] = [None] * len(frames)
        here = [False] * len(frames)
        arriving = Arriving()

        def decode(number: int) -> None:
            here[number] = self._decode(frames[number], payloads[number])

        def tell(n_hits: int, payload: memoryview) -> None:
            payloads[n_hits - 1] = payload
            arriving.arrive(n_hits)

        other = self._helper.submit(arriving.follow, decode) if len(frames) > 1 else None
        try:
            payloads[:] = read(frames, tell)
            arriving.end(len(frames))
            arriving.follow(decode)
        finally:
            arriving.end()
            # One that was busy with somebody else has nothing left to do here.
            if other is not None and not other.cancel():
                other.result()
        return here

    def accept(self, one: Wanted, stored: Bytes) -> bool:
        """Return whether stored bytes can be attended to as they are.

        If not, the frame is counted and told of like one that cannot be decoded.
        """
        return self._succeeds(one, lambda: self._codec().require_stored(stored, one.number))

    def stored_form(self) -> StoredForm | None:
        """Return how frames are attended to as they are stored."""
        return self._codec().stored_form()

    def close(self) -> None:
        """Stop the second thread."""
        self._helper.shutdown()

    def _decode(self, one: Wanted, payload: memoryview | None) -> bool:
        if payload is None:
            return False
        stored = np.frombuffer(payload, np.uint8)
        return self._succeeds(one, lambda: self._codec().decode(stored, one.number, one.view))

    def _succeeds(self, one: Wanted, step: Callable[[], None]) -> bool:
        """Return whether a codec took a frame's bytes; if not they are counted, and told of."""
        try:
            step()
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
