"""Make what was written survive a power loss, and say when it does not.

Follows: fsyncgate: after a failed sync nothing since the last good one is claimed, and nothing is
tried again blindly; frames that count no more are marked dead, so that damage to a newer frame
cannot bring them back.
Leaves out: the index (snapshot_file.py); frames speak for themselves.
"""

from __future__ import annotations

from typing import Literal

from workbench.tiering.async_io.engine import PAGE_BYTES, DeadlineError, Request
from workbench.tiering.ssd_tier.checksum import PAYLOAD_SUM_BYTES
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.drafts import NO_ATTRIBUTES, draft_mark, draft_tombstone
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, Header, Kind, pack, write_header
from workbench.tiering.ssd_tier.segments import Segment
from workbench.tiering.ssd_tier.strays import Stray
from workbench.tiering.ssd_tier.writer import append, condemn

_NO_SUM = bytes(PAYLOAD_SUM_BYTES)
_MARKS_AT_ONCE = 256


def flush(core: Core, deadline: Deadline) -> bool:
    """Make every acknowledged put and delete survive power loss; return whether they do.

    False: what was put since the last good flush may be lost, and where a sync failed it was
    dropped; put it again. The writer's lock is held.
    """
    reached = core.next_sequence - 1
    if not sync_frames(core, deadline) or not mark_strays(core, deadline):
        return False
    if not protect(core, unpromised_only=True, deadline=deadline):
        return False
    # Tombstones that protect are frames too.
    if not sync_frames(core, deadline):
        return False
    core.durable_sequence = max(core.durable_sequence, reached)
    return True


def conclude(core: Core, deadline: Deadline) -> None:
    """Flush, write down that it went well, and let no more frames into the open segment.

    Without that record a later scan would have to verify every block since the one before.
    """
    if flush(core, deadline):
        append(core, [draft_mark(core.pool)], deadline)
    core.table.seal()


def sync_frames(core: Core, deadline: Deadline) -> bool:
    """Sync every segment with new frames; those of a segment that fails are dropped."""
    dirty = core.table.dirty()
    errors = core.device.sync([segment.file for segment in dirty], deadline)
    for segment, error in zip(dirty, errors, strict=True):
        if error is not None:
            _drop_unsynced(core, segment)
        segment.synced_page = segment.end_page
    return not any(errors)


def _drop_unsynced(core: Core, segment: Segment) -> None:
    """Forget the frames since the last good sync: the system may have thrown them away."""
    if segment is core.table.open:
        core.table.seal()
    for key, entry in core.index.in_segment(segment.number):
        if entry.page >= segment.synced_page and core.index.remove(key, entry.sequence):
            core.counters.add(blocks_dropped=1)
            condemn(core, key, entry)


def mark_strays(core: Core, deadline: Deadline) -> bool:
    """Overwrite the headers of frames that count no more; return False if a sync failed.

    A frame that cannot be marked is stuck: newer frames must speak against it.
    """
    pending = core.strays.pending()
    for stray in pending:
        stray.stuck = stray.hung
    pending = [stray for stray in pending if not stray.stuck]
    for some in _batches(pending):
        _write_marks(core, some, deadline)
    marked = [stray for stray in pending if not stray.stuck]
    files = sorted({core.table[stray.segment].file for stray in marked})
    if any(core.device.sync(files, deadline)):
        return False
    for some in _batches(marked):
        _read_back(core, some, deadline)
    core.strays.absolve([stray for stray in marked if not stray.stuck])
    return True


def _batches(strays: list[Stray]) -> list[list[Stray]]:
    return [strays[i : i + _MARKS_AT_ONCE] for i in range(0, len(strays), _MARKS_AT_ONCE)]


def _write_marks(core: Core, strays: list[Stray], deadline: Deadline) -> None:
    pages = [core.pool.lease(PAGE_BYTES) for _ in strays]
    for stray, page in zip(strays, pages, strict=True):
        write_header(page, _dead_header(core, stray))
    batch = [_request("write", core, *pair) for pair in zip(strays, pages, strict=True)]
    for stray, error in zip(strays, core.device.submit(batch, deadline), strict=True):
        stray.stuck = error is not None
        # A late mark must not land in a new life of the segment.
        core.table[stray.segment].hung |= isinstance(error, DeadlineError)


def _read_back(core: Core, strays: list[Stray], deadline: Deadline) -> None:
    """See whether the marks arrived: a write that went astray or nowhere reports success too."""
    pages = [core.pool.lease(PAGE_BYTES) for _ in strays]
    batch = [_request("read", core, *pair) for pair in zip(strays, pages, strict=True)]
    errors = core.device.submit(batch, deadline)
    for stray, page, error in zip(strays, pages, errors, strict=True):
        stray.stuck = error is not None or page[:HEADER_BYTES] != pack(_dead_header(core, stray))


def _request(op: Literal["read", "write"], core: Core, stray: Stray, page: memoryview) -> Request:
    return Request(op, core.table[stray.segment].file, stray.page * PAGE_BYTES, page)


def _dead_header(core: Core, stray: Stray) -> Header:
    return Header(
        kind=Kind.DEAD,
        codec=0,
        store=core.store,
        segment=stray.segment,
        page=stray.page,
        epoch=stray.epoch,
        sequence=stray.sequence,
        durable=0,
        key=stray.key,
        fingerprint=NO_ATTRIBUTES.fingerprint,
        tenant=NO_ATTRIBUTES.tenant,
        plain_bytes=0,
        # Keeps the way to the next frame.
        stored_bytes=stray.stored_bytes,
        checksum=_NO_SUM,
    )


def protect(core: Core, unpromised_only: bool, deadline: Deadline) -> bool:
    """Write tombstones against stuck frames that no newer frame speaks against.

    Parameters
    ----------
    unpromised_only : bool   leave out those whose tombstone was written and still lies there
    """
    for stray in core.strays.stuck():
        if stray.promised and unpromised_only:
            continue
        entry = core.index.get(stray.key)
        if entry is not None and entry.sequence > stray.sequence:
            continue
        (written,) = append(core, [draft_tombstone(core.pool, stray.key)], deadline) or [None]
        if written is None:
            return False
        if entry is not None and core.index.remove(stray.key, entry.sequence):
            core.counters.add(blocks_forgotten=1)
            condemn(core, stray.key, entry)
        stray.promised = True
    return True
