"""Put a server's values together into blocks, several asked for ahead on one connection.

Follows: single GETs, pipelined; a header is believed only once its sum is right, and memory is
taken only for lengths within the limit.
Leaves out: sockets and time-outs (link.py, replies.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from workbench.tiering.distributed_tier.config import MAX_VALUE_BYTES
from workbench.tiering.distributed_tier.miss import OUTAGES, Miss, MissError
from workbench.tiering.distributed_tier.replies import Replies, ServerError
from workbench.tiering.distributed_tier.wire_form import (
    check_payload,
    chunk_name,
    n_chunks,
    read_header,
)
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, Header

# Values asked for ahead: enough to hide the round trip, at most 8 of a chunk in the server's hands.
_AHEAD = 8
_MISS_OF = {
    "LOADING": Miss.LOADING,
    "MASTERDOWN": Miss.LOADING,
    "MOVED": Miss.MOVED,
    "ASK": Miss.MOVED,
    "CLUSTERDOWN": Miss.MOVED,
    "TRYAGAIN": Miss.MOVED,
    "WRONGTYPE": Miss.WRONG_TYPE,
}


class Arrived(NamedTuple):
    """A block that came, verified: its header and its stored bytes, read-only."""

    header: Header
    stored: memoryview


Tell = Callable[[int, Arrived | Miss], None]


class _Coming(NamedTuple):
    """A block of which the first chunk is here."""

    header: Header
    stored: memoryview
    chunk_bytes: int
    n_chunks: int


def miss_of(error: ServerError) -> Miss:
    """Return what an error reply means for a block."""
    return _MISS_OF.get(error.code, Miss.DENIED)


class Fetching:
    """The blocks of one request, until each has been told of."""

    def __init__(
        self,
        namespace: bytes,
        keys: Sequence[bytes],
        limit_bytes: int,
        pool: BufferPool,
        tell: Tell,
    ) -> None:
        """Ask for nothing yet."""
        self._namespace = namespace
        self._keys = keys
        self._limit_bytes = limit_bytes
        self._pool = pool
        self._tell = tell
        # Each entry is a block's place in the list and the number of a chunk.
        self._to_ask: deque[tuple[int, int]] = deque((at, 0) for at in range(len(keys)))
        self._asked: deque[tuple[int, int]] = deque()
        self._coming: dict[int, _Coming] = {}

    @property
    def is_done(self) -> bool:
        """Return whether every block has been told of and every reply was read."""
        return not self._to_ask and not self._asked

    def next_requests(self) -> list[tuple[str, bytes]]:
        """Return the commands to send now."""
        requests = []
        while self._to_ask and len(self._asked) < _AHEAD:
            at, number = self._to_ask.popleft()
            if number == 0 or at in self._coming:
                name = chunk_name(self._namespace, self._keys[at], number)
                requests.append(("GET", name))
                self._asked.append((at, number))
        return requests

    def read_one(self, replies: Replies) -> None:
        """Read the next reply, and tell of its block if that is all of it.

        Raises
        ------
        MissError   if the server is not ready, or means to send more than any value has
        """
        if not self._asked:
            return
        at, number = self._asked.popleft()
        try:
            n_bytes = replies.value_bytes()
        except ServerError as error:
            self._end(at, number, miss_of(error))
            return
        if n_bytes is not None and n_bytes > MAX_VALUE_BYTES:
            raise MissError(Miss.TOO_LARGE, f"a value of {n_bytes} bytes")
        if number == 0:
            self._first_chunk(at, n_bytes, replies)
        else:
            self._other_chunk(at, number, n_bytes, replies)

    def _first_chunk(self, at: int, n_bytes: int | None, replies: Replies) -> None:
        if n_bytes is None:
            self._tell(at, Miss.ABSENT)
            return
        raw = memoryview(bytearray(min(n_bytes, HEADER_BYTES)))
        replies.read_value(raw)
        first = n_bytes - raw.nbytes
        try:
            header, total = self._judged(raw, at, first)
        except MissError as error:
            replies.skip_value(first)
            replies.end_value()
            self._tell(at, error.why)
            return
        stored = self._pool.lease(header.stored_bytes)
        replies.read_value(stored[:first])
        replies.end_value()
        if total == 1:
            self._deliver(at, header, stored)
            return
        self._coming[at] = _Coming(header, stored, first, total)
        # Before any other block, so that few are held by halves.
        self._to_ask.extendleft((at, number) for number in range(total - 1, 0, -1))

    def _judged(self, raw: memoryview, at: int, first: int) -> tuple[Header, int]:
        if raw.nbytes < HEADER_BYTES:
            raise MissError(Miss.DAMAGED, f"a value of {raw.nbytes} bytes is no frame")
        header = read_header(raw, self._keys[at])
        if header.stored_bytes > self._limit_bytes:
            raise MissError(Miss.TOO_LARGE, f"a block of {header.stored_bytes} bytes")
        return header, n_chunks(header, first)

    def _other_chunk(self, at: int, number: int, n_bytes: int | None, replies: Replies) -> None:
        block = self._coming.get(at)
        place = memoryview(b"")
        if block is not None:
            start = number * block.chunk_bytes
            place = block.stored[start : start + block.chunk_bytes]
        if block is None or n_bytes != place.nbytes:
            if n_bytes is not None:
                replies.skip_value(n_bytes)
                replies.end_value()
            self._end(at, number, Miss.PARTIAL if n_bytes is None else Miss.DAMAGED)
            return
        replies.read_value(place)
        replies.end_value()
        if number == block.n_chunks - 1:
            del self._coming[at]
            self._deliver(at, block.header, block.stored)

    def _deliver(self, at: int, header: Header, stored: memoryview) -> None:
        try:
            check_payload(header, stored)
        except MissError as error:
            self._tell(at, error.why)
            return
        self._tell(at, Arrived(header, stored.toreadonly()))

    def _end(self, at: int, number: int, why: Miss) -> None:
        """Tell of a block that will not come, once."""
        if why in OUTAGES:
            raise MissError(why)
        if number == 0 or self._coming.pop(at, None) is not None:
            self._tell(at, why)
