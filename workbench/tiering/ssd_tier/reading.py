"""Read frames and let only those through whose every field and byte is what the index expects.

Follows: checksum and generation kept outside the block; sums of one part are taken while another
is read.
Leaves out: counting hits and misses (lookup.py).
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from workbench.phases import Phase
from workbench.tiering.async_io.buffers import address
from workbench.tiering.async_io.engine import PAGE_BYTES, DeadlineError, Request, StorageError
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.frame import (
    HEADER_BYTES,
    BadFrameError,
    Header,
    Kind,
    attributes_sum,
    payload_pages,
    unpack,
)
from workbench.tiering.ssd_tier.index import Entry

# Two threads read and sum parts in turn, so that the device always has the next one: measured 1.2
# to 1.5 times one batch of everything.
_PART_BYTES = 6 << 20
_READS = Phase("tier reads")


class Failure(enum.Enum):
    """Why a block could not be loaded."""

    DAMAGED = "damaged"
    FAILED = "failed"
    LATE = "late"


class Frame(NamedTuple):
    """A verified frame in memory; the memory is lent again when its last view is gone.

    ``pages`` holds the header's page, followed by the payload where both were read together.
    """

    header: Header
    pages: memoryview
    payload: memoryview

    def wire(self) -> tuple[memoryview, memoryview]:
        """Return the bytes to send: header, then payload, as they lie on disk."""
        return self.pages[:HEADER_BYTES], self.payload


class Wanted(NamedTuple):
    """A block to load, and where the caller would like its payload to be."""

    key: bytes
    entry: Entry
    buffer: memoryview | None = None


class Landing(NamedTuple):
    """Where a frame is read to: one request, and the views of its two parts."""

    request: Request
    pages: memoryview
    payload: memoryview


@_READS.timed
def load(core: Core, wanted: Sequence[Wanted], deadline: Deadline) -> list[Frame | Failure]:
    """Read and verify blocks, in their order.

    Cost    one read a block straight into the caller's buffer or a pooled one; no copy.
    """
    landings = [_landing(core, one) for one in wanted]
    parts = _parts(landings)
    left = iter(parts)
    answers: dict[int, list[Frame | Failure]] = {}

    def work() -> None:
        # Both threads take parts from one list iterator, which gives each part out once.
        for start, stop in left:
            batch = [landing.request for landing in landings[start:stop]]
            errors = core.device.submit(batch, deadline)
            answers[start] = _verify_all(core, wanted[start:stop], landings[start:stop], errors)

    other = core.helper().submit(work) if len(parts) > 1 else None
    work()
    # A helper that is busy with somebody else has nothing left to do here.
    if other is not None and not other.cancel():
        other.result()
    return [frame for start in sorted(answers) for frame in answers[start]]


def _landing(core: Core, wanted: Wanted) -> Landing:
    entry, buffer = wanted.entry, wanted.buffer
    file, offset = core.table[entry.segment].file, entry.page * PAGE_BYTES
    n_bytes = payload_pages(entry.stored_bytes) * PAGE_BYTES
    if buffer is not None and n_bytes and _fits(buffer, n_bytes):
        page = core.pool.lease(PAGE_BYTES)
        request = Request("read", file, offset, page, (buffer[:n_bytes],))
        return Landing(request, page, buffer[: entry.stored_bytes])
    pages = core.pool.lease(PAGE_BYTES + n_bytes)
    payload = pages[PAGE_BYTES : PAGE_BYTES + entry.stored_bytes]
    return Landing(Request("read", file, offset, pages), pages, payload)


def _fits(buffer: memoryview, n_bytes: int) -> bool:
    is_plain = buffer.contiguous and buffer.itemsize == 1 and buffer.ndim == 1
    return is_plain and buffer.nbytes >= n_bytes and address(buffer) % PAGE_BYTES == 0


def _parts(landings: Sequence[Landing]) -> list[tuple[int, int]]:
    """Cut the blocks into runs of about 6 MiB."""
    cuts, n_bytes = [0], 0
    for i, landing in enumerate(landings):
        n_bytes += landing.request.n_bytes
        if n_bytes >= _PART_BYTES:
            cuts.append(i + 1)
            n_bytes = 0
    if cuts[-1] != len(landings):
        cuts.append(len(landings))
    return list(itertools.pairwise(cuts))


def _verify_all(
    core: Core,
    wanted: Sequence[Wanted],
    landings: Sequence[Landing],
    errors: Sequence[StorageError | None],
) -> list[Frame | Failure]:
    answers: list[Frame | Failure] = []
    for one, landing, error in zip(wanted, landings, errors, strict=True):
        if error is not None:
            late = isinstance(error, DeadlineError)
            answers.append(Failure.LATE if late else Failure.FAILED)
            continue
        try:
            answers.append(verify(core.store, one.key, one.entry, landing))
        except BadFrameError:
            answers.append(Failure.DAMAGED)
    return answers


def verify(store: bytes, key: bytes, entry: Entry, landing: Landing) -> Frame:
    """Return the frame if it is the one that the index means, whole and unchanged.

    Raises
    ------
    BadFrameError   if it is not
    """
    header = unpack(landing.pages)
    expected = (Kind.BLOCK, store, entry.segment, entry.page, entry.sequence, key)
    expected_bytes = (entry.stored_bytes, entry.checksum, entry.attributes)
    found = (header.kind, header.store, header.segment, header.page, header.sequence, header.key)
    attributes = attributes_sum(header.attributes(), entry.stored_bytes)
    if found != expected or (header.stored_bytes, header.checksum, attributes) != expected_bytes:
        raise BadFrameError("another frame lies here")
    if payload_sum(landing.payload) != entry.checksum:
        raise BadFrameError("the stored bytes are damaged")
    return Frame(header, landing.pages, landing.payload)
