"""Append frames to the open segment.

Follows: a log; a frame whose write failed leaves a hole, and is never visible.
Leaves out: finding room (rooms.py) and making it last (durability.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.phases import Phase
from workbench.tiering.async_io.engine import PAGE_BYTES, DeadlineError, Request, StorageError
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.drafts import Draft
from workbench.tiering.ssd_tier.frame import Header, write_header
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.segments import Segment
from workbench.tiering.ssd_tier.strays import Stray

_WRITES = Phase("tier writes")


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
    entries, batch = [], []
    for draft in drafts:
        if draft.n_pages > core.table.room_pages():
            break
        header = _place(core, segment, draft)
        entries.append(_entry(header, draft.flags))
        offset = header.page * PAGE_BYTES
        batch.append(Request("write", segment.file, offset, draft.pages, draft.rest))
    errors = core.device.submit(batch, deadline)
    return [
        _settle(core, segment, draft, entry, error)
        for draft, entry, error in zip(drafts, entries, errors, strict=False)
    ]


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
    )
    write_header(draft.pages, header)
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
    core: Core, segment: Segment, draft: Draft, entry: Entry, error: StorageError | None
) -> Entry | None:
    if error is None:
        core.health.wrote()
        return entry
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
