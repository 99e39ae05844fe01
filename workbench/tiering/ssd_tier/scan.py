"""Find the frames of segments by their headers alone.

Follows: from header to header, many segments at once; where a header is damaged, page by page until
the next whole one.
Leaves out: payloads (recovery.py verifies those that may not have been synced).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.tiering.async_io.engine import PAGE_BYTES, DeadlineError, Request, StorageError
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.frame import MAGIC, BadFrameError, Header, unpack
from workbench.tiering.ssd_tier.segments import Segment

_MAGIC = int.from_bytes(MAGIC, "little")
# How many segments are read at once, and how far ahead: small frames lie close together, and where
# a header is missing every page is looked at.
_SEGMENTS_AT_ONCE = 32
_CHAIN_PAGES = 64
_PROBE_PAGES = 256
_SMALL_PAGES = 8


@dataclass(slots=True)
class Scan:
    """How far one segment has been scanned.

    Attributes
    ----------
    page, stop : int   next page to look at, first page not to
    ahead : int        pages to read at once
    lost : bool        a header was damaged, and the next whole one is looked for
    unread : bool      something could not be read, this time
    end_page : int     behind the last frame found
    """

    segment: Segment
    page: int
    stop: int
    end_page: int
    ahead: int = 1
    lost: bool = False
    unread: bool = False
    frames: list[Header] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Return whether every page has been looked at or stepped over."""
        return self.page >= self.stop


def scan(core: Core, starts: Sequence[tuple[Segment, int]]) -> list[Scan]:
    """Find all frames of the segments' present lives from the given pages on.

    Cost    one read of a page a frame, 32 segments at once, about 25 us a frame.
    """
    scans = [
        Scan(segment, page, min(segment.n_pages, core.layout.segment_pages - 1), page)
        for segment, page in starts
    ]
    for group in _groups(scans):
        while active := [one for one in group if not one.done]:
            _read_on(core, active)
    core.counters.add(headers_scanned=sum(len(one.frames) for one in scans))
    return scans


def _groups(scans: Sequence[Scan]) -> Iterator[Sequence[Scan]]:
    for start in range(0, len(scans), _SEGMENTS_AT_ONCE):
        yield scans[start : start + _SEGMENTS_AT_ONCE]


def _read_on(core: Core, scans: Sequence[Scan]) -> None:
    pages = [min(one.ahead, one.stop - one.page) for one in scans]
    buffers = [core.pool.lease(n * PAGE_BYTES) for n in pages]
    batch = [
        Request("read", one.segment.file, one.page * PAGE_BYTES, buffer)
        for one, buffer in zip(scans, buffers, strict=True)
    ]
    errors = core.device.submit(batch, core.deadline(core.config.read_deadline_s))
    for one, buffer, error in zip(scans, buffers, errors, strict=True):
        if error is None:
            _look_through(core.store, one, buffer)
        else:
            _step_over(one, error)


def _step_over(scan: Scan, error: StorageError) -> None:
    """Skip what cannot be read: page by page, or all of it if the device does not even answer."""
    if isinstance(error, DeadlineError):
        scan.page = scan.stop
        scan.unread = True
    elif scan.ahead > 1:
        scan.ahead = 1
    else:
        scan.page += 1
        scan.lost = scan.unread = True


def _look_through(store: bytes, scan: Scan, buffer: memoryview) -> None:
    n_pages = buffer.nbytes // PAGE_BYTES
    at = 0
    while at < n_pages:
        header = _header(store, scan, buffer, at)
        if header is None:
            scan.lost = True
            at = _next_magic(buffer, at + 1)
            continue
        scan.lost = False
        scan.frames.append(header)
        at += header.n_pages()
        scan.end_page = scan.page + at
    scan.page += at
    if scan.lost:
        scan.ahead = min(_PROBE_PAGES, 4 * n_pages)
    elif scan.frames[-1].n_pages() <= _SMALL_PAGES:
        # Reading on through small frames costs less than a request for each.
        scan.ahead = min(_CHAIN_PAGES, 4 * n_pages)
    else:
        scan.ahead = 1


def _header(store: bytes, scan: Scan, buffer: memoryview, at: int) -> Header | None:
    """Return the frame that begins at a page, if one does that belongs there."""
    try:
        header = unpack(buffer, at * PAGE_BYTES)
    except BadFrameError:
        return None
    segment, page = scan.segment, scan.page + at
    belongs = (header.store, header.segment, header.page, header.epoch) == (
        store,
        segment.number,
        page,
        segment.epoch,
    )
    return header if belongs and page + header.n_pages() <= scan.stop else None


def _next_magic(buffer: memoryview, at: int) -> int:
    """Return the next page from ``at`` on that begins like a frame, or the number of pages."""
    words = np.frombuffer(buffer, "<u8")[:: PAGE_BYTES // 8]
    found = np.nonzero(words[at:] == _MAGIC)[0]
    return at + int(found[0]) if len(found) else len(words)
