"""Lay out a frame in memory, ready to be written.

Follows: one copy of the payload, or none when it already lies on pages; what is written is summed
before, so that a caller who changes it meanwhile gets a miss later, never wrong bytes.
Leaves out: where the frame will lie; the writer fills the header in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.tiering.async_io.buffers import address
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.checksum import PAYLOAD_SUM_BYTES
from workbench.tiering.ssd_tier.frame import (
    KEY_BYTES,
    NO_CONTENT,
    Attributes,
    Kind,
    frame_pages,
)

NO_ATTRIBUTES = Attributes(plain_bytes=0)
_NO_SUM = bytes(PAYLOAD_SUM_BYTES)
_NO_KEY = bytes(KEY_BYTES)


@dataclass(slots=True)
class Draft:
    """A frame that has no place yet.

    Attributes
    ----------
    pages : memoryview              the header's page, then the payload's unless ``rest`` has them
    rest : tuple of memoryview      payload that is written from where the caller has it
    flags : int                     what the index is to know about it (index.EVER_READ ...)
    content : bytes                 recognises the bytes that are sealed (sealing.py)
    unsealed : memoryview or None   payload that is sealed into ``pages`` once its place is known
    """

    kind: Kind
    key: bytes
    attributes: Attributes
    stored_bytes: int
    checksum: bytes
    pages: memoryview
    rest: tuple[memoryview, ...] = ()
    flags: int = 0
    content: bytes = NO_CONTENT
    unsealed: memoryview | None = None

    @property
    def n_pages(self) -> int:
        """Return the pages of the frame."""
        return frame_pages(self.stored_bytes)


def draft_block(
    pool: BufferPool, key: bytes, value: memoryview, checksum: bytes, attributes: Attributes
) -> Draft:
    """Stage a block.

    Parameters
    ----------
    value : memoryview   uint8[stored_bytes]
    checksum : bytes     its payload_sum

    Cost    a copy of the value, unless it starts and ends on a page.
    """
    stored_bytes = value.nbytes
    if stored_bytes and stored_bytes % PAGE_BYTES == 0 and address(value) % PAGE_BYTES == 0:
        pages = pool.lease(PAGE_BYTES)
        rest: tuple[memoryview, ...] = (value,)
    else:
        pages, rest = pool.lease(frame_pages(stored_bytes) * PAGE_BYTES), ()
        place = np.frombuffer(pages, np.uint8)[PAGE_BYTES:]
        # numpy copies without the GIL; zeros, because the buffer holds somebody else's past.
        np.copyto(place[:stored_bytes], np.frombuffer(value, np.uint8))
        place[stored_bytes:] = 0
    return Draft(Kind.BLOCK, key, attributes, stored_bytes, checksum, pages, rest)


def draft_unsealed(
    pool: BufferPool, key: bytes, value: memoryview, content: bytes, attributes: Attributes
) -> Draft:
    """Stage a block that is sealed when it is placed: the value must not change until then."""
    n_bytes = value.nbytes
    pages = pool.lease(frame_pages(n_bytes) * PAGE_BYTES)
    np.frombuffer(pages, np.uint8)[PAGE_BYTES + n_bytes :] = 0
    fields = (Kind.BLOCK, key, attributes, n_bytes, _NO_SUM, pages)
    return Draft(*fields, content=content, unsealed=value)


def draft_tombstone(pool: BufferPool, key: bytes) -> Draft:
    """Stage the record that a key was deleted."""
    return Draft(Kind.TOMBSTONE, key, NO_ATTRIBUTES, 0, _NO_SUM, pool.lease(PAGE_BYTES))


def draft_mark(pool: BufferPool) -> Draft:
    """Stage the record of what is durable, which every header carries."""
    return Draft(Kind.MARK, _NO_KEY, NO_ATTRIBUTES, 0, _NO_SUM, pool.lease(PAGE_BYTES))
