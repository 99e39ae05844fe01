"""Pack and read frames: a header of 256 bytes in a page of its own, then the stored bytes.

Follows: the same bytes on disk and on the wire; the header says where it was meant to lie (store,
segment, page, epoch), so that bytes found anywhere else are seen to be misplaced.
Leaves out: what keys, fingerprints, tenants and codecs mean; nothing here knows tokens or models.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import UsageError
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.ssd_tier.checksum import header_sum

if TYPE_CHECKING:
    from typing_extensions import Buffer

FORMAT_VERSION = 1
MAGIC = b"WBFRAME\0"
HEADER_BYTES = 256
KEY_BYTES = FINGERPRINT_BYTES = 32
TENANT_BYTES = 16
# docs/ssd_tier_format.md says what each field is; the last one is the sum of all before it.
HEADER = struct.Struct("<8sIHH16sIIQQQ32s32s16sQQ16s16s56sQ")
_SUM = struct.Struct("<Q")
_SUM_AT = HEADER_BYTES - _SUM.size
_ATTRIBUTES = struct.Struct("<32s16sHQ16s")
CONTENT_BYTES, SEAL_BYTES = 16, 56
# What a plain store writes where a sealed one says how.
NO_CONTENT, NO_SEAL = bytes(CONTENT_BYTES), bytes(SEAL_BYTES)
_CHECKSUM_AT = 160

assert HEADER.size == HEADER_BYTES


class BadFrameError(StorageError):
    """The bytes are no frame, or not the frame that was looked for."""


class Kind(enum.IntEnum):
    """What a frame says about its key."""

    BLOCK = 1  # the stored bytes follow
    TOMBSTONE = 2  # deleted
    DEAD = 3  # there was a block or tombstone here; a newer frame, or none, counts
    MARK = 4  # says nothing of any key, only what was durable when it was written


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the rooms above say about a block; opaque here, kept and returned as given.

    Attributes
    ----------
    fingerprint : bytes[32]     which model and layout
    tenant : bytes[16]          whose block
    codec : int                 0..65535, how the stored bytes were made
    plain_bytes : int or None   length before the codec; None: the stored length
    """

    fingerprint: bytes = bytes(FINGERPRINT_BYTES)
    tenant: bytes = bytes(TENANT_BYTES)
    codec: int = 0
    plain_bytes: int | None = None

    def __post_init__(self) -> None:
        if len(self.fingerprint) != FINGERPRINT_BYTES or len(self.tenant) != TENANT_BYTES:
            raise UsageError(
                f"a fingerprint of {len(self.fingerprint)} and a tenant of {len(self.tenant)} bytes"
                f" do not fit; give {FINGERPRINT_BYTES} and {TENANT_BYTES}"
            )
        if not 0 <= self.codec <= 0xFFFF or not 0 <= (self.plain_bytes or 0) < 1 << 63:
            raise UsageError(
                f"codec={self.codec}, plain_bytes={self.plain_bytes} do not fit; give 0..65535 and "
                "0..2^63-1"
            )


class Header(NamedTuple):
    """The fields of a frame's header, in their order on disk (magic, version and sum apart).

    ``content`` recognises the bytes that were sealed, ``seal`` says how they are opened; both are
    opaque here (sealing.py), and zeros in a plain store.
    """

    kind: Kind
    codec: int
    store: bytes
    segment: int
    page: int
    epoch: int
    sequence: int
    durable: int
    key: bytes
    fingerprint: bytes
    tenant: bytes
    plain_bytes: int
    stored_bytes: int
    checksum: bytes
    content: bytes = NO_CONTENT
    seal: bytes = NO_SEAL

    def attributes(self) -> Attributes:
        """Return what the rooms above said about the block."""
        return Attributes(self.fingerprint, self.tenant, self.codec, self.plain_bytes)

    def attributes_sum(self) -> int:
        """Return their 64-bit sum, see `attributes_sum`."""
        fields = (self.fingerprint, self.tenant, self.codec, self.plain_bytes, self.content)
        return header_sum(_ATTRIBUTES.pack(*fields))

    def n_pages(self) -> int:
        """Return the pages of the whole frame."""
        return frame_pages(self.stored_bytes)


def frame_pages(stored_bytes: int) -> int:
    """Return the pages of a frame with so many stored bytes: one for the header, then theirs."""
    return 1 + payload_pages(stored_bytes)


def payload_pages(stored_bytes: int) -> int:
    """Return the pages that so many stored bytes fill."""
    return -(-stored_bytes // PAGE_BYTES)


def attributes_sum(attributes: Attributes, stored_bytes: int, content: bytes = NO_CONTENT) -> int:
    """Return the 64-bit sum by which the index recognises a block's attributes."""
    plain = stored_bytes if attributes.plain_bytes is None else attributes.plain_bytes
    fields = (attributes.fingerprint, attributes.tenant, attributes.codec, plain, content)
    return header_sum(_ATTRIBUTES.pack(*fields))


def pack(header: Header) -> bytes:
    """Return the 256 bytes of a header."""
    raw = HEADER.pack(MAGIC, FORMAT_VERSION, *header, 0)[:_SUM_AT]
    return raw + _SUM.pack(header_sum(raw))


def bound_fields(header: Header) -> bytes:
    """Return the 160 bytes in front of the checksum: all that is known before bytes are sealed."""
    return HEADER.pack(MAGIC, FORMAT_VERSION, *header, 0)[:_CHECKSUM_AT]


def write_header(page: memoryview, header: Header) -> None:
    """Fill a page with a header and zeros, so that nothing of the buffer's past gets out."""
    page[:HEADER_BYTES] = pack(header)
    page[HEADER_BYTES:PAGE_BYTES] = bytes(PAGE_BYTES - HEADER_BYTES)


def unpack(raw: Buffer, offset: int = 0) -> Header:
    """Read the header at an offset.

    Raises
    ------
    BadFrameError   if there is no header, or its sum is wrong, or it is of another version

    Cost    about 2 us.
    """
    magic, version, kind, *fields, found = HEADER.unpack_from(raw, offset)
    if magic != MAGIC:
        raise BadFrameError("no frame starts here")
    body = memoryview(raw)[offset : offset + _SUM_AT]
    if header_sum(body) != found or version != FORMAT_VERSION or kind not in _KINDS:
        raise BadFrameError("the frame's header is damaged")
    return Header(_KINDS[kind], *fields)


_KINDS = {kind.value: kind for kind in Kind}
