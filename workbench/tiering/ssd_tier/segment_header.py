"""Pack and read the header that a segment carries twice, in its first page and in its last.

Follows: two copies far apart (Apache Traffic Server, TigerBeetle); the newer valid one counts.
Leaves out: where the frames are; they speak for themselves.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, NamedTuple

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.checksum import header_sum
from workbench.tiering.ssd_tier.errors import StoreVersionError
from workbench.tiering.ssd_tier.frame import FORMAT_VERSION, HEADER_BYTES, BadFrameError

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAGIC = b"WBSEGMT\0"
# Every version keeps the magic, the version and the place of the sum, so that each can tell
# another version from damage.
SEGMENT_HEADER = struct.Struct("<8sII16sIIQQ16s176xQ")
_SUM_AT = HEADER_BYTES - 8
KEYS_ID_BYTES = 16
# What a plain store says of its keys.
NOT_SEALED = bytes(KEYS_ID_BYTES)

assert SEGMENT_HEADER.size == HEADER_BYTES


class Use(enum.IntEnum):
    """What a segment of this epoch holds."""

    FREE = 1  # no frame of this epoch was ever written
    USED = 2


class SegmentHeader(NamedTuple):
    """Which segment of which store this is; ``epoch`` counts its lives, in the store's sequence.

    ``sealed_as`` names the keys without which its blocks mean nothing.
    """

    use: Use
    store: bytes
    number: int
    n_pages: int
    epoch: int
    sealed_as: bytes = NOT_SEALED


def pack(header: SegmentHeader) -> bytes:
    """Return the 4,096 bytes of a segment's header page."""
    use, store, number, n_pages, epoch, sealed_as = header
    fields = (MAGIC, FORMAT_VERSION, use, store, number, 0, n_pages, epoch, sealed_as)
    raw = SEGMENT_HEADER.pack(*fields, 0)[:_SUM_AT]
    return (raw + header_sum(raw).to_bytes(8, "little")).ljust(PAGE_BYTES, b"\0")


def unpack(raw: Buffer, file: str) -> SegmentHeader:
    """Read a segment's header.

    Raises
    ------
    BadFrameError        if there is none, or it is damaged
    StoreVersionError    if it is whole and of another version
    """
    fields = SEGMENT_HEADER.unpack_from(raw)
    magic, version, use, store, number, _, n_pages, epoch, sealed_as, found = fields
    if magic != MAGIC or header_sum(memoryview(raw)[:_SUM_AT]) != found:
        raise BadFrameError(f"{file}: no segment header, or a damaged one")
    if version != FORMAT_VERSION:
        raise StoreVersionError(file, version, FORMAT_VERSION)
    if use not in (Use.FREE, Use.USED):
        raise BadFrameError(f"{file}: the segment header's use {use} is unknown")
    return SegmentHeader(Use(use), store, number, n_pages, epoch, sealed_as)
