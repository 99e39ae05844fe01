"""Remember where each block lies, how long it is and what its bytes must sum to.

Follows: sums and sizes kept outside the block (TigerBeetle); rows of 80 bytes beside one dict.
Leaves out: the disk (snapshot.py, recovery.py); what is not in here is a miss.
"""

from __future__ import annotations

import struct
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.frame import KEY_BYTES, frame_pages

# The same fields twice: struct is ten times faster for one row, numpy for all of them.
ROW = struct.Struct("<32sIIIIQ16sQ")
ROW_DTYPE = np.dtype(
    [
        ("key", "V32"),
        ("segment", "<u4"),
        ("page", "<u4"),
        ("stored_bytes", "<u4"),
        ("flags", "<u4"),
        ("sequence", "<u8"),
        ("checksum", "V16"),
        ("attributes", "<u8"),
    ]
)
ACCESSED = 1  # read since it was last written
EVER_READ = 2
_READ = ACCESSED | EVER_READ
# A row without its key; and of it what `touch` looks at.
_ENTRY = struct.Struct("<32xIIIIQ16sQ")
_FLAGS_AT = 44
_FLAGS = struct.Struct("<I")
_FLAGS_AND_SEQUENCE = struct.Struct("<IQ")
_KEY_OBJECT_BYTES = sys.getsizeof(bytes(KEY_BYTES))
_ROW_NUMBER_BYTES = sys.getsizeof(1 << 20)

assert ROW.size == ROW_DTYPE.itemsize


class Entry(NamedTuple):
    """Where one block lies, and by what it is recognised.

    ``sequence`` numbers the frames of a store in the order they were written (the generation);
    ``attributes`` is their 64-bit sum (frame.attributes_sum).
    """

    segment: int
    page: int
    stored_bytes: int
    flags: int
    sequence: int
    checksum: bytes
    attributes: int

    @property
    def accessed(self) -> bool:
        """Return whether the block was read since it was last written."""
        return bool(self.flags & ACCESSED)

    @property
    def n_bytes(self) -> int:
        """Return the bytes of the whole frame on disk."""
        return frame_pages(self.stored_bytes) * PAGE_BYTES


class IndexFullError(Exception):
    """The index holds as many blocks as it may; evict some first."""


class Index:
    """All blocks of one store, by key; safe to use from several threads."""

    def __init__(self, max_blocks: int, n_segments: int) -> None:
        """Make an empty index; memory is taken as blocks come, up to ``max_blocks``."""
        self.max_blocks = max_blocks
        self._raw = np.zeros(max_blocks * ROW.size, np.uint8)
        self._rows = self._raw.view(ROW_DTYPE)
        self._view = self._raw.data
        self._row_of: dict[bytes, int] = {}
        self._unused: list[int] = []
        self._used = 0
        self._live_bytes = [0] * n_segments
        self._lock = threading.Lock()

    @property
    def row_bytes(self) -> int:
        """Return the bytes of one row of `dump`."""
        return ROW.size

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, key: bytes) -> bool:
        return key in self._row_of

    def keys(self) -> list[bytes]:
        """Return every key, in no order that means anything."""
        with self._lock:
            return list(self._row_of)

    def get(self, key: bytes) -> Entry | None:
        """Return a block's entry, or None if there is no such block."""
        with self._lock:
            return self._entry(key)

    def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return the entries of several blocks as they were at one moment."""
        with self._lock:
            rows = map(self._row_of.get, keys)
            return [None if row is None else self._row(row) for row in rows]

    def contains_all(self, keys: Iterable[bytes]) -> bool:
        """Return whether all of some blocks are in it."""
        return all(map(self._row_of.__contains__, keys))

    def put(self, key: bytes, entry: Entry) -> Entry | None:
        """Enter a block and return the entry it replaces, if any.

        Raises
        ------
        IndexFullError   if it would be one block too many
        """
        with self._lock:
            replaced = self._entry(key)
            row = self._new_row(key) if replaced is None else self._row_of[key]
            ROW.pack_into(self._view, row * ROW.size, key, *entry)
            if replaced is not None:
                self._live_bytes[replaced.segment] -= replaced.n_bytes
            self._live_bytes[entry.segment] += entry.n_bytes
            return replaced

    def swap(self, key: bytes, sequence: int, entry: Entry) -> bool:
        """Enter a moved block if the old frame is still the one that counts; return whether."""
        with self._lock:
            old = self._entry(key)
            if old is None or old.sequence != sequence:
                return False
            ROW.pack_into(self._view, self._row_of[key] * ROW.size, key, *entry)
            self._live_bytes[old.segment] -= old.n_bytes
            self._live_bytes[entry.segment] += entry.n_bytes
            return True

    def remove(self, key: bytes, sequence: int | None = None) -> Entry | None:
        """Take a block out and return its entry; with a sequence, only if it is still that one."""
        with self._lock:
            entry = self._entry(key)
            if entry is None or sequence not in (None, entry.sequence):
                return None
            row = self._row_of.pop(key)
            self._view[row * ROW.size : (row + 1) * ROW.size] = bytes(ROW.size)
            self._unused.append(row)
            self._live_bytes[entry.segment] -= entry.n_bytes
            return entry

    def touch(self, hits: Iterable[tuple[bytes, int]]) -> None:
        """Mark blocks as read, those that are still the given (key, sequence)."""
        with self._lock:
            for key, sequence in hits:
                row = self._row_of.get(key)
                if row is None:
                    continue
                at = row * ROW.size + _FLAGS_AT
                flags, current = _FLAGS_AND_SEQUENCE.unpack_from(self._view, at)
                if current == sequence and flags & _READ != _READ:
                    _FLAGS.pack_into(self._view, at, flags | _READ)

    def in_segment(self, segment: int) -> list[tuple[bytes, Entry]]:
        """Return the blocks that lie in a segment, in the order of their pages."""
        with self._lock:
            used = self._rows[: self._used]
            found = np.nonzero((used["segment"] == segment) & (used["sequence"] != 0))[0]
            rows = found[np.argsort(used["page"][found])].tolist()
            return [(self._key(row), self._row(row)) for row in rows]

    def live_bytes(self, segment: int) -> int:
        """Return the bytes of a segment's frames that are still wanted."""
        return self._live_bytes[segment]

    def n_unread(self) -> int:
        """Return how many blocks were written and never read back."""
        with self._lock:
            used = self._rows[: self._used]
            return int(np.sum((used["flags"] & EVER_READ == 0) & (used["sequence"] != 0)))

    def dump(self) -> NDArray[np.uint8]:
        """Return all rows, packed: uint8[len * ROW.size]."""
        with self._lock:
            used = self._rows[: self._used]
            rows: NDArray[np.uint8] = used[used["sequence"] != 0].view(np.uint8)
            return rows

    def load(self, rows: NDArray[np.void]) -> None:
        """Fill an empty index with rows of ROW_DTYPE whose keys differ.

        Raises
        ------
        IndexFullError   if they are too many

        Cost    about 0.3 us a row.
        """
        n_rows = len(rows)
        if n_rows > self.max_blocks:
            raise IndexFullError
        with self._lock:
            self._rows[:n_rows] = rows
            keys = np.ascontiguousarray(rows["key"]).tobytes()
            starts = range(0, n_rows * KEY_BYTES, KEY_BYTES)
            self._row_of = {keys[i : i + KEY_BYTES]: n for n, i in enumerate(starts)}
            self._used = n_rows
            pages = 1 - (-rows["stored_bytes"].astype(np.int64) // PAGE_BYTES)
            live = np.bincount(rows["segment"], pages, minlength=len(self._live_bytes))
            self._live_bytes = [int(n) * PAGE_BYTES for n in live]

    def n_bytes(self) -> int:
        """Return the memory that the index takes now, by its parts' sizes."""
        per_block = _KEY_OBJECT_BYTES + _ROW_NUMBER_BYTES
        with self._lock:
            parts = sys.getsizeof(self._row_of) + sys.getsizeof(self._unused)
            return parts + len(self._row_of) * per_block + self._used * ROW.size

    def check(self) -> None:
        """Assert that rows, keys and live bytes agree."""
        with self._lock:
            live = [0] * len(self._live_bytes)
            for key, row in self._row_of.items():
                entry = self._row(row)
                assert self._key(row) == key, key.hex()
                assert entry.sequence > 0, (key.hex(), entry)
                live[entry.segment] += entry.n_bytes
            assert live == self._live_bytes, (live, self._live_bytes)
            assert len(self._row_of) + len(self._unused) == self._used <= self.max_blocks

    def _entry(self, key: bytes) -> Entry | None:
        row = self._row_of.get(key)
        return None if row is None else self._row(row)

    def _row(self, row: int) -> Entry:
        # What `Entry(...)` does, at half the price.
        return tuple.__new__(Entry, _ENTRY.unpack_from(self._view, row * ROW.size))

    def _key(self, row: int) -> bytes:
        return bytes(self._view[row * ROW.size : row * ROW.size + KEY_BYTES])

    def _new_row(self, key: bytes) -> int:
        if self._unused:
            row = self._unused.pop()
        elif self._used < self.max_blocks:
            row, self._used = self._used, self._used + 1
        else:
            raise IndexFullError
        self._row_of[key] = row
        return row
