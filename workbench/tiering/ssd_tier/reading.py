"""Read frames and let only those through whose every field and byte is what the index expects.

Follows: checksum and generation kept outside the block; sums are taken of blocks that have arrived,
while they are in the cache and others are under way.
Leaves out: counting hits and misses (lookup.py).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from queue import SimpleQueue
from typing import NamedTuple

from workbench.phases import Phase
from workbench.tiering.async_io.buffers import address
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.frame import (
    HEADER_BYTES,
    NO_SEAL,
    BadFrameError,
    Header,
    Kind,
    payload_pages,
    unpack,
)
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.sealing import SealError

# From so many bytes on a second thread sums what has arrived while the first waits for the rest.
_SHARED_BYTES = 2 << 20
# Summing is faster than any disk; opening sealed blocks is not, on one processor.
_HELPERS, _HELPERS_SEALED = 1, 2
# Those, and the thread that reads, once it has.
_CHECKERS = _HELPERS_SEALED + 1
_READS = Phase("tier reads")


class Failure(enum.Enum):
    """Why a block could not be loaded."""

    DAMAGED = "damaged"
    FAILED = "failed"
    LATE = "late"
    SEALED = "sealed"


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
    """Read, verify and open blocks, in their order.

    Cost    one read a block straight into the caller's buffer or a pooled one; no copy.
    """
    arrivals = _Arrivals(core, wanted)
    is_shared = arrivals.n_bytes >= _SHARED_BYTES
    n_others = _HELPERS if core.sealing is None else _HELPERS_SEALED
    others = [core.helper().submit(arrivals.check) for _ in range(n_others if is_shared else 0)]
    arrivals.read(deadline, arrivals.hand_on if is_shared else None)
    arrivals.check()
    # One that was busy with somebody else has nothing left to do here.
    for other in others:
        if not other.cancel():
            other.result()
    return arrivals.answers


class _Arrivals:
    """Blocks that one thread reads, all in one batch, and any thread may check as they arrive."""

    def __init__(self, core: Core, wanted: Sequence[Wanted]) -> None:
        self._core = core
        self._wanted = wanted
        self._landings = _landings(core, wanted)
        self._errors: Sequence[StorageError | None] = [None] * len(wanted)
        # Numbers of blocks to check, then one None for each thread that may check.
        self._arrived: SimpleQueue[int | None] = SimpleQueue()
        self._n_arrived = 0
        self.n_bytes = sum(landing.request.n_bytes for landing in self._landings)
        self.answers: list[Frame | Failure] = [Failure.FAILED] * len(wanted)

    def read(self, deadline: Deadline, on_whole: OnWhole | None) -> None:
        """Read every block, and hand them all on in the end."""
        batch = [landing.request for landing in self._landings]
        try:
            self._errors = self._core.device.submit(batch, deadline, on_whole)
            self.hand_on(len(batch))
        finally:
            for _ in range(_CHECKERS):
                self._arrived.put(None)

    def hand_on(self, n_whole: int) -> None:
        """Let the blocks up to this number be checked."""
        for number in range(self._n_arrived, n_whole):
            self._arrived.put(number)
        self._n_arrived = max(self._n_arrived, n_whole)

    def check(self) -> None:
        """Check blocks as long as there are any."""
        while (number := self._arrived.get()) is not None:
            self.answers[number] = self._answer(number)

    def _answer(self, number: int) -> Frame | Failure:
        error, one = self._errors[number], self._wanted[number]
        if error is not None:
            return Failure.LATE if isinstance(error, DeadlineError) else Failure.FAILED
        try:
            if self._core.sealing is None:
                return verify(self._core.store, one.key, one.entry, self._landings[number])
            # What opens is whole: the seal covers every byte, and a sum would cost a fifth more.
            frame = identify(self._core.store, one.key, one.entry, self._landings[number])
            self._core.sealing.open(frame.header, frame.payload)
        except BadFrameError:
            return Failure.DAMAGED
        except SealError:
            return Failure.SEALED
        return frame


def _landings(core: Core, wanted: Sequence[Wanted]) -> list[Landing]:
    """Choose where every frame goes: its payload into the caller's buffer if that will do."""
    sizes = [payload_pages(one.entry.stored_bytes) * PAGE_BYTES for one in wanted]
    given = [_fits(one.buffer, size) for one, size in zip(wanted, sizes, strict=True)]
    # One lease for all headers: a lease costs as much as everything else here.
    headers = core.pool.lease(sum(given) * PAGE_BYTES) if any(given) else memoryview(b"")
    landings = []
    for (_, entry, buffer), size, is_given in zip(wanted, sizes, given, strict=True):
        file, offset = core.table[entry.segment].file, entry.page * PAGE_BYTES
        if is_given and buffer is not None:
            page, headers = headers[:PAGE_BYTES], headers[PAGE_BYTES:]
            request = Request("read", file, offset, page, (buffer[:size],))
            landings.append(Landing(request, page, buffer[: entry.stored_bytes]))
        else:
            pages = core.pool.lease(PAGE_BYTES + size)
            payload = pages[PAGE_BYTES : PAGE_BYTES + entry.stored_bytes]
            landings.append(Landing(Request("read", file, offset, pages), pages, payload))
    return landings


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
