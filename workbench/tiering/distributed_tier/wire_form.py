"""Say how a block lies on a server: the header of a frame and the stored bytes, cut into chunks.

Follows: ssd_tier/frame.py, the same bytes on disk and on the wire. On the wire a frame has no
place, so store, segment, page, epoch and the two sequence numbers are zero. Chunk 0 is the header
and the first stored bytes; all chunks but the last hold as many stored bytes as chunk 0 does.
Leaves out: encryption. Who seals stored bytes does so before `wrap` and after `check_payload`, over
a header with this place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.tiering.distributed_tier.config import MIN_CHUNK_BYTES
from workbench.tiering.distributed_tier.miss import Miss, MissError
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.frame import (
    HEADER_BYTES,
    Attributes,
    BadFrameError,
    Header,
    Kind,
    pack,
    unpack,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

NOWHERE = (bytes(16), 0, 0, 0, 0, 0)


def chunk_name(namespace: bytes, key: bytes, number: int) -> bytes:
    """Return the key of a chunk; the braces keep all chunks of a block on one node of a cluster."""
    return b"%s:{%s}:%d" % (namespace, key.hex().encode(), number)


def copied(value: memoryview) -> memoryview:
    """Return room for a header, then a copy of the stored bytes."""
    room = bytearray(HEADER_BYTES + value.nbytes)
    view = memoryview(room)
    view[HEADER_BYTES:] = value
    return view


def wrap(key: bytes, framed: memoryview, attributes: Attributes) -> None:
    """Fill in the header in front of stored bytes."""
    stored = framed[HEADER_BYTES:]
    plain = stored.nbytes if attributes.plain_bytes is None else attributes.plain_bytes
    said = (attributes.fingerprint, attributes.tenant, plain, stored.nbytes, payload_sum(stored))
    framed[:HEADER_BYTES] = pack(Header(Kind.BLOCK, attributes.codec, *NOWHERE, key, *said))


def chunks(framed: memoryview, chunk_bytes: int) -> list[memoryview]:
    """Cut a frame into the values of its chunks."""
    first = HEADER_BYTES + chunk_bytes
    cuts = range(first, framed.nbytes, chunk_bytes)
    return [framed[:first], *(framed[at : at + chunk_bytes] for at in cuts)]


def read_header(raw: Buffer, key: bytes) -> Header:
    """Return the header of the block that was asked for.

    Raises
    ------
    MissError   if it is none, or another block's, or one that was meant for a disk
    """
    try:
        header = unpack(raw)
    except BadFrameError as error:
        raise MissError(Miss.DAMAGED, str(error)) from None
    place = (header.store, *header[3:8])
    if header.kind is not Kind.BLOCK or header.key != key or place != NOWHERE:
        raise MissError(Miss.DAMAGED, "the frame of another block")
    return header


def n_chunks(header: Header, first_bytes: int) -> int:
    """Return in how many chunks a block lies whose chunk 0 holds so many stored bytes.

    Raises
    ------
    MissError   if it cannot lie so
    """
    stored = header.stored_bytes
    if first_bytes == stored:
        return 1
    if not MIN_CHUNK_BYTES <= first_bytes < stored:
        raise MissError(Miss.DAMAGED, f"{first_bytes} of {stored} bytes in the first chunk")
    return -(-stored // first_bytes)


def check_payload(header: Header, stored: memoryview) -> None:
    """Compare the sum of the stored bytes.

    Raises
    ------
    MissError   if it is another
    """
    if payload_sum(stored) != header.checksum:
        raise MissError(Miss.DAMAGED, "the stored bytes have another sum")


def is_of(header: Header, attributes: Attributes | None) -> bool:
    """Return whether a block was stored with these attributes; None asks for nothing."""
    return attributes is None or (header.fingerprint, header.tenant, header.codec) == (
        attributes.fingerprint,
        attributes.tenant,
        attributes.codec,
    )
