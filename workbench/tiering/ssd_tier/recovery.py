"""Work out what the store holds when it is opened.

Follows: the snapshot for segments that have not changed since, frame headers for all others; of two
frames of one key the later counts, and one that may not have been synced only if it is whole.
Running it again finds the same; nothing is written before it is done.
Leaves out: making that state durable (opening.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.errors import StoreGeometryError
from workbench.tiering.ssd_tier.frame import Header, Kind
from workbench.tiering.ssd_tier.index import Entry, IndexFullError
from workbench.tiering.ssd_tier.layout import SNAPSHOT
from workbench.tiering.ssd_tier.reading import Frame, Wanted, load
from workbench.tiering.ssd_tier.scan import Scan, scan
from workbench.tiering.ssd_tier.segments import FIRST_PAGE, Segment, State
from workbench.tiering.ssd_tier.snapshot import Snapshot
from workbench.tiering.ssd_tier.writer import condemn

# Numbers left out after an unclean stop, so that frames which could not be read this time are older
# than all that come, should they be readable another time.
_STRIDE = 1 << 40
_VERIFIED_AT_ONCE = 64


class Recovered(NamedTuple):
    """What came of it.

    Attributes
    ----------
    scanned : bool    frames had to be looked for: the last stop was not a clean one
    renewed : list    segments that need a new life: their files are new, or old copies
    newest : int      the newest sequence number that was seen anywhere
    """

    scanned: bool
    renewed: list[Segment]
    newest: int


def recover(core: Core, snapshot: Snapshot | None) -> Recovered:
    """Fill the index, the segments' states and the sequence numbers.

    Raises
    ------
    StoreGeometryError   if there are more blocks than the index may hold

    Cost    0.3 us a block from the snapshot, about 40 us a block by headers.
    """
    starts, renewed = _compare(core, snapshot)
    if snapshot is not None:
        _load_rows(core, snapshot)
    scans = scan(core, starts)
    frames = sorted((h for one in scans for h in one.frames), key=lambda header: header.sequence)
    newest = _set_sequences(core, snapshot, frames)
    core.next_sequence = newest + 1 + (_STRIDE if starts else 0)
    torn = _torn(core, [h for h in frames if h.sequence > core.durable_sequence])
    for header in frames:
        _apply(core, header, header.sequence in torn)
    for one in scans:
        _settle(core, one)
    core.counters.add(blocks_recovered=len(core.index))
    return Recovered(bool(starts), renewed, newest)


def _compare(
    core: Core, snapshot: Snapshot | None
) -> tuple[list[tuple[Segment, int]], list[Segment]]:
    """Decide from where on each segment is scanned, and which ones have no life that counts."""
    rows = [] if snapshot is None else snapshot.segments.tolist()
    starts, renewed = [], []
    for segment in core.table.segments:
        epoch, end_page, state, _ = (
            rows[segment.number] if segment.number < len(rows) else (0, 0, 0, 0)
        )
        if segment.epoch == 0 or segment.epoch < epoch:
            # Made anew, or an old copy of the file: its frames are of another life.
            renewed.append(segment)
            segment.state = State.BAD
        elif segment.epoch == epoch:
            segment.end_page = segment.synced_page = end_page
            segment.state = State.FREE if state == State.FREE else State.SEALED
            if state == State.OPEN:
                starts.append((segment, end_page))
        elif segment.state == State.SEALED:
            starts.append((segment, FIRST_PAGE))
    return starts, renewed


def _load_rows(core: Core, snapshot: Snapshot) -> None:
    """Enter the snapshot's blocks, but for those whose segment has another life by now."""
    # No life has this number, nor 0, by which a snapshot says that a segment is to be scanned.
    epochs = np.full(len(core.table.segments), -1).astype(np.uint64)
    for segment in core.table.segments:
        if segment.state != State.BAD:
            epochs[segment.number] = segment.epoch
    blocks = snapshot.blocks
    same_life = epochs[: len(snapshot.segments)] == snapshot.segments["epoch"]
    kept = blocks[same_life[blocks["segment"]]]
    try:
        core.index.load(kept)
    except IndexFullError as error:
        raise _too_many(core, len(kept)) from error


def _too_many(core: Core, n_blocks: int) -> StoreGeometryError:
    return StoreGeometryError(
        f"{SNAPSHOT}: the store holds {n_blocks} blocks, configured are at most "
        f"max_blocks={core.index.max_blocks}; raise max_blocks, or remove the folder to start with "
        "an empty store"
    )


def _set_sequences(core: Core, snapshot: Snapshot | None, frames: Sequence[Header]) -> int:
    """Learn what is durable from all who speak of it; return the newest number seen."""
    seen = max((segment.epoch for segment in core.table.segments), default=0)
    if frames:
        seen = max(seen, frames[-1].sequence)
        core.durable_sequence = max(header.durable for header in frames)
    if snapshot is not None:
        seen = max(seen, snapshot.header.next_sequence - 1)
        durable = snapshot.header.durable_sequence
        core.durable_sequence = max(core.durable_sequence, durable)
    return seen


def _torn(core: Core, tail: Sequence[Header]) -> set[int]:
    """Return the sequences of blocks that were not synced and are not whole."""
    blocks = [header for header in tail if header.kind == Kind.BLOCK]
    torn = set()
    for start in range(0, len(blocks), _VERIFIED_AT_ONCE):
        some = blocks[start : start + _VERIFIED_AT_ONCE]
        wanted = [Wanted(header.key, entry_of(header)) for header in some]
        loaded = load(core, wanted, core.deadline(core.config.read_deadline_s))
        for header, frame in zip(some, loaded, strict=True):
            if not isinstance(frame, Frame):
                torn.add(header.sequence)
    return torn


def entry_of(header: Header) -> Entry:
    """Return the index entry of a block's frame."""
    return Entry(
        segment=header.segment,
        page=header.page,
        stored_bytes=header.stored_bytes,
        flags=0,
        sequence=header.sequence,
        checksum=header.checksum,
        attributes=header.attributes_sum(),
    )


def _apply(core: Core, header: Header, is_torn: bool) -> None:
    """Let one frame count, in the order in which they were written."""
    if header.kind in (Kind.DEAD, Kind.MARK):
        return
    old = core.index.get(header.key)
    outdated = old is not None and old.sequence > header.sequence
    if header.kind == Kind.TOMBSTONE:
        if not outdated:
            condemn(core, header.key, core.index.remove(header.key))
    elif is_torn or outdated:
        condemn(core, header.key, entry_of(header), promised=not is_torn)
    else:
        try:
            condemn(core, header.key, core.index.put(header.key, entry_of(header)))
        except IndexFullError as error:
            raise _too_many(core, len(core.index) + 1) from error


def _settle(core: Core, scan: Scan) -> None:
    """Close a scanned segment behind its last frame; what may not be synced will be."""
    segment = scan.segment
    if scan.unread:
        core.strays.doubt(segment.number)
    segment.end_page = scan.end_page
    unsynced = [h.page for h in scan.frames if h.sequence > core.durable_sequence]
    segment.synced_page = min(unsynced, default=scan.end_page)
