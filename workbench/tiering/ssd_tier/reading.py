"""Read frames and let only those through whose every field and byte is what the index expects.

Follows: checksum and generation kept outside the block; sums are taken of blocks that have arrived,
while they are in the cache and others are under way.
Leaves out: counting hits and misses (lookup.py).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import NamedTuple

from workbench.phases import Phase
from workbench.tiering.arriving import Arriving
from workbench.tiering.async_io.buffers import address
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    StorageError,
)
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.frame import (
    HEADER_BYTES,
    NO_SEAL,
    Attributes,
    BadFrameError,
    Header,
    Kind,
    payload_pages,
    unpack,
)
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.sealing import SealError

# From so many bytes on blocks are summed while the rest is under way.
_SHARED_BYTES = 2 << 20
_READS = Phase("tier reads")
_NOTHING: tuple[memoryview, ...] = ()


class Failure(enum.Enum):
    """Why a block could not be loaded."""

    DAMAGED = "damaged"
    FAILED = "failed"
    LATE = "late"
    SEALED = "sealed"
    FOREIGN = "foreign"


class Frame(NamedTuple):
    """A verified frame in memory; the memory is lent again when its last view is gone.

    ``pages`` holds the header's page, followed by the payload where both were read together.
    """

    header: Header
    pages: memoryview
    payload: memoryview

    def wire(self) -> tuple[memoryview, memoryview]:
        """Return the bytes to send: header, then payload, as they lie on disk.

        Raises
        ------
        SealError   if they lie there sealed: the payload was opened, and is another one now
        """
        if self.header.seal != NO_SEAL:
            raise SealError("the block lies on disk sealed, its payload here is open")
        return self.pages[:HEADER_BYTES], self.payload


OnFrame = Callable[[Frame], bool]


class Wanted(NamedTuple):
    """A block to load, where the caller would like its payload, and what it has to belong to."""

    key: bytes
    entry: Entry
    buffer: memoryview | None = None
    attributes: Attributes | None = None


class Landing(NamedTuple):
    """Where a frame was read to: one request, and the views of its two parts."""

    request: Request
    pages: memoryview
    payload: memoryview


@_READS.timed
def load(
    core: Core, wanted: Sequence[Wanted], deadline: Deadline, on_frame: OnFrame | None = None
) -> list[Frame | Failure]:
    """Read, verify and open blocks, in their order.

    Parameters
    ----------
    on_frame : callable or None   told meanwhile of the first frames, one after another, as long as
                                  it answers True and every block is good

    Cost    one read a block straight into the caller's buffer or a pooled one; no copy.
    """
    arrivals = _Arrivals(core, wanted, on_frame)
    arrivals.read(deadline)
    return arrivals.answers


class _Arrivals:
    """Blocks that are read all in one batch, and checked as they arrive, by one thread or two."""

    def __init__(
        self, core: Core, wanted: Sequence[Wanted], on_frame: OnFrame | None = None
    ) -> None:
        self._core = core
        self._wanted = wanted
        self._on_frame = on_frame
        self._requests = _requests(core, wanted)
        self._errors: Sequence[StorageError | None] = [None] * len(wanted)
        self._arriving = Arriving()
        self._n_told = 0
        self._checked: list[Frame | Failure | None] = [None] * len(wanted)

    @property
    def answers(self) -> list[Frame | Failure]:
        """Return what came of each block, once all were read."""
        return [Failure.FAILED if answer is None else answer for answer in self._checked]

    def read(self, deadline: Deadline) -> None:
        """Read every block and check it: large ones while others are under way."""
        batch = self._requests
        is_large = sum([one.entry.stored_bytes for one in self._wanted]) >= _SHARED_BYTES
        other = None
        try:
            # One thread sums faster than any disk reads; opening sealed blocks takes two.
            if is_large and self._core.sealing is not None:
                other = self._core.helper().submit(self._arriving.follow, self._check)
            on_whole = self._arrive if is_large else None
            self._errors = self._core.device.submit(batch, deadline, on_whole)
            self._arriving.end(len(batch))
            # The last blocks arrive all at once.
            if other is None and is_large and self._arriving.n_waiting > 1:
                other = self._core.helper().submit(self._arriving.follow, self._check)
            self._arriving.follow(self._check)
        finally:
            self._arriving.end()
            # One that was busy with somebody else has nothing left to do here.
            if other is not None and not other.cancel():
                other.result()

    def _arrive(self, n_whole: int) -> None:
        """Check what has arrived, and tell of the first blocks that are good."""
        self._arriving.arrive(n_whole)
        # Arrivals come one by one: the newest is the other thread's, if there is one, or it would
        # find nothing to do.
        n_left = 0 if self._core.sealing is None else 1
        while self._arriving.n_waiting > n_left and (number := self._arriving.take()) is not None:
            self._check(number)
            self._tell()
        self._tell()

    def _tell(self) -> None:
        while self._on_frame and self._n_told < self._arriving.n_here:
            answer = self._checked[self._n_told]
            if not isinstance(answer, Frame):
                return
            self._n_told += 1
            if not self._on_frame(answer):
                self._on_frame = None

    def _check(self, number: int) -> None:
        self._checked[number] = self._answer(number)

    def _answer(self, number: int) -> Frame | Failure:
        error, one = self._errors[number], self._wanted[number]
        if error is not None:
            return Failure.LATE if isinstance(error, DeadlineError) else Failure.FAILED
        landing = _landing(self._requests[number], one.entry.stored_bytes)
        try:
            if self._core.sealing is None:
                frame = verify(self._core.store, one.key, one.entry, landing)
            else:
                # What opens is whole: the seal covers every byte, a sum would cost a fifth more.
                frame = identify(self._core.store, one.key, one.entry, landing)
                self._core.sealing.open(frame.header, frame.payload)
        except BadFrameError:
            return Failure.DAMAGED
        except SealError:
            return Failure.SEALED
        return Failure.FOREIGN if _is_foreign(frame.header, one.attributes) else frame


def _requests(core: Core, wanted: Sequence[Wanted]) -> list[Request]:
    """Choose where every frame goes: its payload into the caller's buffer if that will do."""
    sizes = [payload_pages(one.entry.stored_bytes) * PAGE_BYTES for one in wanted]
    given = [_fits(one.buffer, size) for one, size in zip(wanted, sizes, strict=True)]
    # One lease for all headers: a lease costs as much as everything else here.
    headers = core.pool.lease(sum(given) * PAGE_BYTES) if any(given) else memoryview(b"")
    files = [segment.file for segment in core.table.segments]
    requests, at, rest = [], 0, _NOTHING
    for (_, entry, buffer, _), size, is_given in zip(wanted, sizes, given, strict=True):
        if is_given and buffer is not None:
            page, rest = headers[at : at + PAGE_BYTES], (_cut(buffer, size),)
            at += PAGE_BYTES
        else:
            page, rest = core.pool.lease(PAGE_BYTES + size), _NOTHING
        fields = ("read", files[entry.segment], entry.page * PAGE_BYTES, page, rest)
        # What `Request(...)` does, at half the price: the device waits for the first one.
        requests.append(tuple.__new__(Request, fields))
    return requests


def _landing(request: Request, stored_bytes: int) -> Landing:
    """Return the two parts of a frame that was read: the header's page, the payload."""
    payload = request.rest[0] if request.rest else request.buffer[PAGE_BYTES:]
    return Landing(request, request.buffer, _cut(payload, stored_bytes))


def _is_foreign(header: Header, wanted: Attributes | None) -> bool:
    """Return whether a block is another model's, tenant's or codec's than wanted."""
    return wanted is not None and (
        header.fingerprint != wanted.fingerprint
        or header.tenant != wanted.tenant
        or header.codec != wanted.codec
    )


def _cut(buffer: memoryview, n_bytes: int) -> memoryview:
    return buffer if buffer.nbytes == n_bytes else buffer[:n_bytes]


def _fits(buffer: memoryview | None, n_bytes: int) -> bool:
    if buffer is None or not n_bytes:
        return False
    is_plain = buffer.contiguous and buffer.itemsize == 1 and buffer.ndim == 1
    return is_plain and buffer.nbytes >= n_bytes and address(buffer) % PAGE_BYTES == 0


def verify(store: bytes, key: bytes, entry: Entry, landing: Landing) -> Frame:
    """Return the frame if it is the one that the index means, whole and unchanged.

    Raises
    ------
    BadFrameError   if it is not
    """
    frame = identify(store, key, entry, landing)
    if payload_sum(landing.payload) != entry.checksum:
        raise BadFrameError("the stored bytes are damaged")
    return frame


def identify(store: bytes, key: bytes, entry: Entry, landing: Landing) -> Frame:
    """Return the frame if its header is the one that the index means; BadFrameError if not."""
    header = unpack(landing.pages)
    expected = (Kind.BLOCK, store, entry.segment, entry.page, entry.sequence, key)
    expected_bytes = (entry.stored_bytes, entry.checksum, entry.attributes)
    found = (header.kind, header.store, header.segment, header.page, header.sequence, header.key)
    found_bytes = (header.stored_bytes, header.checksum, header.attributes_sum())
    if found != expected or found_bytes != expected_bytes:
        raise BadFrameError("another frame lies here")
    return Frame(header, landing.pages, landing.payload)
