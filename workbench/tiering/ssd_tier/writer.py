"""Append frames to the open segment.

Follows: a log; a frame whose write failed leaves a hole, and is never visible.
Leaves out: finding room (rooms.py) and making it last (durability.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from workbench.phases import Phase
from workbench.tiering.async_io.engine import PAGE_BYTES, DeadlineError, Request, StorageError
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.drafts import Draft
from workbench.tiering.ssd_tier.frame import Header, write_header
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.sealing import SealError
from workbench.tiering.ssd_tier.segments import Segment
from workbench.tiering.ssd_tier.strays import Stray

_WRITES = Phase("tier writes")
# From so many bytes on a second thread seals some of them.
_SHARED_BYTES = 2 << 20


@_WRITES.timed
def append(core: Core, drafts: Sequence[Draft], deadline: Deadline) -> list[Entry | None]:
    """Write as many of the drafts as the open segment takes, in one batch.

    Returns
    -------
    one answer for each draft that was tried, from the first on: its entry, or None if the write
    failed. Fewer answers than drafts: the segment is full. The index is not changed.
    """
    segment = core.table.open
    if segment is None:
        return []
    placed = []
    for draft in drafts:
        if draft.n_pages > core.table.room_pages():
            break
        placed.append((draft, _place(core, segment, draft)))
    unsealed = _seal_all(core, placed)
    batch = []
    for number, (draft, header) in enumerate(placed):
        write_header(draft.pages, header)
        if number not in unsealed:
            offset = header.page * PAGE_BYTES
            batch.append(Request("write", segment.file, offset, draft.pages, draft.rest))
    moved = iter(core.device.submit(batch, deadline))
    return [
        _settle(core, segment, draft, header, unsealed.get(number) or next(moved))
        for number, (draft, header) in enumerate(placed)
    ]


def _seal_all(core: Core, placed: list[tuple[Draft, Header]]) -> dict[int, SealError]:
    """Seal what is to be sealed, on two threads if it is much; return by number what cannot be."""
    todo = deque(n for n, (draft, _) in enumerate(placed) if draft.unsealed is not None)
    failures: dict[int, SealError] = {}

    def seal_some() -> None:
        while todo:
            try:
                number = todo.popleft()
            except IndexError:
                # The other thread took the last one.
                return
            draft, header = placed[number]
            try:
                placed[number] = (draft, _sealed(core, draft, header))
            except SealError as error:
                failures[number] = error

    is_shared = sum(placed[number][0].stored_bytes for number in todo) >= _SHARED_BYTES
    other = core.helper().submit(seal_some) if is_shared else None
    seal_some()
    # One that was busy with somebody else has nothing left to do here.
    if other is not None and not other.cancel():
        other.result()
    return failures


def _sealed(core: Core, draft: Draft, header: Header) -> Header:
    """Seal a draft's payload into its pages for the place it has now; return the whole header."""
    assert core.sealing is not None
    assert draft.unsealed is not None
    stored = draft.pages[PAGE_BYTES : PAGE_BYTES + draft.stored_bytes]
    seal = core.sealing.seal(header, draft.unsealed, stored)
    return header._replace(checksum=payload_sum(stored), seal=seal)


def _place(core: Core, segment: Segment, draft: Draft) -> Header:
    attributes = draft.attributes
    plain = attributes.plain_bytes
    header = Header(
        kind=draft.kind,
        codec=attributes.codec,
        store=core.store,
        segment=segment.number,
        page=segment.end_page,
        epoch=segment.epoch,
        sequence=core.take_sequence(),
        durable=core.durable_sequence,
        key=draft.key,
        fingerprint=attributes.fingerprint,
        tenant=attributes.tenant,
        plain_bytes=draft.stored_bytes if plain is None else plain,
        stored_bytes=draft.stored_bytes,
        checksum=draft.checksum,
        content=draft.content,
    )
    segment.end_page += draft.n_pages
    return header


def _entry(header: Header, flags: int) -> Entry:
    return Entry(
        segment=header.segment,
        page=header.page,
        stored_bytes=header.stored_bytes,
        flags=flags,
        sequence=header.sequence,
        checksum=header.checksum,
        attributes=header.attributes_sum(),
    )


def _settle(
    core: Core, segment: Segment, draft: Draft, header: Header, error: StorageError | None
) -> Entry | None:
    entry = _entry(header, draft.flags)
    if error is None:
        core.health.wrote()
        return entry
    if not isinstance(error, SealError):
        core.health.failed(error)
    stray = stray_of(core, draft.key, entry)
    stray.promised = False
    # The device may still be at it: whatever is written there now may be overwritten later.
    stray.hung = isinstance(error, DeadlineError)
    segment.hung = segment.hung or stray.hung
    core.strays.condemn(stray)
    return None


def stray_of(core: Core, key: bytes, entry: Entry) -> Stray:
    """Return the stray that an entry's frame becomes when it counts no more."""
    epoch = core.table[entry.segment].epoch
    return Stray(key, entry.segment, entry.page, epoch, entry.sequence, entry.stored_bytes)


def condemn(core: Core, key: bytes, entry: Entry | None, promised: bool = True) -> None:
    """Have a frame that counts no more marked dead at the next flush."""
    if entry is not None:
        stray = stray_of(core, key, entry)
        stray.promised = promised
        core.strays.condemn(stray)
