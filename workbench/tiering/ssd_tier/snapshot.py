"""Turn the index into bytes and back.

Follows: a header page, the segments' table, the blocks' rows, each padded to pages; one sum over
the tables, one over the header; nothing in it is executable and no size is trusted unchecked.
Leaves out: reading and writing the file (snapshot_file.py).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.checksum import header_sum, payload_sum
from workbench.tiering.ssd_tier.errors import StoreVersionError
from workbench.tiering.ssd_tier.frame import FORMAT_VERSION, HEADER_BYTES, BadFrameError
from workbench.tiering.ssd_tier.index import ROW_DTYPE
from workbench.tiering.ssd_tier.layout import SEGMENT_ROW_BYTES, SNAPSHOT, snapshot_bytes
from workbench.tiering.ssd_tier.segments import State

MAGIC = b"WBINDEX\0"
SNAPSHOT_HEADER = struct.Struct("<8sII16sIIQQQ16s168xQ")
SEGMENT_ROW_DTYPE = np.dtype(
    [("epoch", "<u8"), ("end_page", "<u4"), ("state", "<u4"), ("unused", "<u8")]
)
_SUM_AT = HEADER_BYTES - 8

assert SNAPSHOT_HEADER.size == HEADER_BYTES
assert SEGMENT_ROW_DTYPE.itemsize == SEGMENT_ROW_BYTES


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """What a snapshot says about itself and about the store at its moment."""

    store: bytes
    n_segments: int
    segment_pages: int
    n_blocks: int
    next_sequence: int
    durable_sequence: int
    tables_sum: bytes

    @property
    def n_bytes(self) -> int:
        """Return the length of the whole snapshot."""
        return snapshot_bytes(self.n_segments, self.n_blocks)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole snapshot: the header, SEGMENT_ROW_DTYPE[n_segments], ROW_DTYPE[n_blocks]."""

    header: SnapshotHeader
    segments: NDArray[np.void]
    blocks: NDArray[np.void]


def encode(
    page: memoryview,
    tables: memoryview,
    header: SnapshotHeader,
    segments: NDArray[np.void],
    rows: NDArray[np.uint8],
) -> None:
    """Fill a header's page and the tables behind it; the header's own sum of them is ignored."""
    table_bytes = segments.nbytes
    blocks_at = snapshot_bytes(len(segments), 0) - PAGE_BYTES
    target = np.frombuffer(tables, np.uint8)
    target[:table_bytes] = segments.view(np.uint8)
    target[table_bytes:blocks_at] = 0
    target[blocks_at : blocks_at + rows.nbytes] = rows
    target[blocks_at + rows.nbytes :] = 0
    fields = (MAGIC, FORMAT_VERSION, 0, header.store, header.n_segments, header.segment_pages)
    counts = (header.n_blocks, header.next_sequence, header.durable_sequence)
    raw = SNAPSHOT_HEADER.pack(*fields, *counts, payload_sum(tables), 0)[:_SUM_AT]
    page[:] = (raw + header_sum(raw).to_bytes(8, "little")).ljust(PAGE_BYTES, b"\0")


def decode_header(page: memoryview) -> SnapshotHeader:
    """Read a snapshot's header.

    Raises
    ------
    BadFrameError        if there is none, or it is damaged
    StoreVersionError    if it is whole and of another version
    """
    magic, version, _, *fields, found = SNAPSHOT_HEADER.unpack_from(page)
    if magic != MAGIC or header_sum(page[:_SUM_AT]) != found:
        raise BadFrameError(f"{SNAPSHOT}: no snapshot, or a damaged one")
    if version != FORMAT_VERSION:
        raise StoreVersionError(SNAPSHOT, version, FORMAT_VERSION)
    return SnapshotHeader(*fields)


def decode(header: SnapshotHeader, tables: memoryview) -> Snapshot:
    """Read the tables behind a header.

    Raises
    ------
    BadFrameError   if their sum or a value in them is wrong
    """
    if payload_sum(tables) != header.tables_sum:
        raise BadFrameError(f"{SNAPSHOT}: the tables are damaged")
    blocks_at = snapshot_bytes(header.n_segments, 0) - PAGE_BYTES
    segments = np.frombuffer(tables, SEGMENT_ROW_DTYPE, header.n_segments)
    blocks = np.frombuffer(tables, ROW_DTYPE, header.n_blocks, blocks_at)
    if np.any(blocks["segment"] >= header.n_segments) or np.any(blocks["sequence"] == 0):
        raise BadFrameError(f"{SNAPSHOT}: a block lies in no segment")
    if np.any(~np.isin(segments["state"], [state.value for state in State])):
        raise BadFrameError(f"{SNAPSHOT}: a segment's state is unknown")
    return Snapshot(header, segments, blocks)
