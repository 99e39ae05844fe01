"""Make room: empty one segment, and open the next.

Follows: segment-wise reclaim with reinsertion (CacheLib Navy): moved blocks are durable before the
originals die, and the originals are dead on disk before the segment takes anything new.
Leaves out: which blocks are worth moving (reinsertion).
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.drafts import Draft
from workbench.tiering.ssd_tier.durability import flush, protect, sync_frames
from workbench.tiering.ssd_tier.frame import Kind
from workbench.tiering.ssd_tier.index import EVER_READ, Entry
from workbench.tiering.ssd_tier.reading import Frame, Wanted, load
from workbench.tiering.ssd_tier.segment_files import begin_lives
from workbench.tiering.ssd_tier.segment_header import Use
from workbench.tiering.ssd_tier.segments import Segment, State
from workbench.tiering.ssd_tier.writer import append, condemn

# Memory that moving takes at once.
_MOVED_BYTES = 8 << 20
# What must be left of a call's time to begin with it.
_LEAST_FRAC = 0.1


def open_next(core: Core, deadline: Deadline) -> bool:
    """Seal the open segment and open a free one; return whether there is one.

    One more is kept free, so that there is always somewhere to move blocks to.
    """
    if deadline.left_s() < _LEAST_FRAC * core.config.write_deadline_s:
        # A new life cut short by the deadline would cost the segment.
        return False
    core.filled_segments += core.table.open is not None
    core.table.seal()
    if free := core.table.free():
        _open_one(core, free, deadline)
    # One that failed before is better than none: the device may be well again. Emptying one now
    # means losing what is in it, for there is nowhere to move it to.
    elif not _open_one(core, core.table.renewable(), deadline) and reclaim(core, deadline):
        _open_one(core, core.table.free(), deadline)
    keep_spare(core, deadline)
    return core.table.open is not None


def _open_one(core: Core, segments: Sequence[Segment], deadline: Deadline) -> bool:
    """Open the first of some segments; return whether that went well."""
    for segment in segments[:1]:
        if _begin_life(core, segment, Use.USED, deadline):
            core.table.open = segment
    return core.table.open is not None


def keep_spare(core: Core, deadline: Deadline) -> None:
    """Free a segment beside the open one, if none is.

    It is one that failed before, if the device is well again, else one that is emptied. If neither
    works, the next put tries again, as long as the open segment has room to empty one into.
    """
    if core.table.open is not None and not core.table.free():
        renewable = core.table.renewable()[:1]
        if not any(_begin_life(core, segment, Use.FREE, deadline) for segment in renewable):
            reclaim(core, deadline)
    core.lacks_spare = core.table.open is not None and not core.table.free()


def _begin_life(core: Core, segment: Segment, use: Use, deadline: Deadline) -> bool:
    """Give a segment a new epoch; everything in it is dead then. A failure is one of the device."""
    error = begin_lives(core, [segment], use, deadline)
    if error is not None:
        core.health.failed(error)
        return False
    core.strays.forget_segment(segment.number)
    return True


def make_index_room(core: Core, deadline: Deadline) -> bool:
    """Evict the oldest blocks until the index takes one more; return whether it does."""
    while len(core.index) >= core.index.max_blocks:
        if core.table.oldest(core.index) is None:
            core.table.seal()
        if not reclaim(core, deadline, evict=True):
            return False
    return True


def reclaim(core: Core, deadline: Deadline, evict: bool = False) -> bool:
    """Empty one segment; return whether it is free now.

    Parameters
    ----------
    evict : bool   move nothing: the oldest segment's blocks all go
    """
    victim, sparse = _victim(core, evict)
    # Marks and tombstones in it are needed until what they speak against is dead on disk.
    if victim is None or not flush(core, deadline):
        return False
    if core.strays.stuck() and not protect(core, unpromised_only=False, deadline=deadline):
        return False
    # With nowhere to move blocks to, losing the fewest is all that is left.
    keeps_all = sparse and core.table.open is not None
    is_safe = evict or _move_out(core, victim, sparse, deadline)
    if keeps_all and not is_safe:
        return False
    if not sync_frames(core, deadline):
        return False
    is_free = _begin_life(core, victim, Use.FREE, deadline)
    _evict_rest(core, victim, is_free)
    core.counters.add(segments_reclaimed=int(is_free))
    return is_free


def _victim(core: Core, evict: bool) -> tuple[Segment | None, bool]:
    """Return the segment to empty, and whether all of it is to be kept."""
    if evict:
        return core.table.oldest(core.index), False
    victim, sparse = core.table.victim(core.index, core.config.compact_below_frac)
    for doubted in (core.table[number] for number in core.strays.doubted()):
        if doubted.state == State.SEALED:
            # First of all: a tombstone elsewhere may speak against something in it.
            return doubted, sparse and doubted is victim
    return victim, sparse


def _worth_moving(core: Core, victim: Segment, sparse: bool) -> list[tuple[bytes, Entry]]:
    """Return the blocks to move, the newest first, no more than there is room for."""
    frac = 0.5 if sparse else core.config.reinsert_frac
    # A sparse segment leaves a new one room enough for the largest frame by itself.
    spared_pages = 0 if sparse else core.layout.frame_pages_max
    room_bytes = min(
        frac * core.layout.segment_bytes,
        (core.table.room_pages() - spared_pages) * PAGE_BYTES,
    )
    chosen = []
    for key, entry in reversed(core.index.in_segment(victim.number)):
        if not sparse and not core.reinsertion.keeps(entry):
            continue
        room_bytes -= entry.n_bytes
        if room_bytes < 0:
            break
        chosen.append((key, entry))
    return chosen


def _move_out(core: Core, victim: Segment, sparse: bool, deadline: Deadline) -> bool:
    """Move what is worth it; return whether all of that is safe elsewhere."""
    blocks = _worth_moving(core, victim, sparse)
    # Where not all of a sparse one fits, nothing is moved in vain.
    fits = not sparse or len(blocks) == len(core.index.in_segment(victim.number))
    return fits and _move(core, blocks, deadline)


def _move(core: Core, blocks: Sequence[tuple[bytes, Entry]], deadline: Deadline) -> bool:
    """Write blocks again at the end of the log, make that durable, then let the index see it.

    Returns
    -------
    whether all of them are safe there, but for those that cannot be read any more
    """
    moved: list[tuple[Draft, Entry, Entry]] = []
    n_whole = 0
    for some in _batches(blocks):
        frames = load(core, [Wanted(key, entry) for key, entry in some], deadline)
        whole = [
            (_draft_again(frame, entry, core.sealing is not None), entry)
            for frame, (_, entry) in zip(frames, some, strict=True)
            if isinstance(frame, Frame)
        ]
        n_whole += len(whole)
        entries = append(core, [draft for draft, _ in whole], deadline)
        for (draft, old), new in zip(whole, entries, strict=False):
            if new is not None:
                moved.append((draft, old, new))
    is_safe = not moved or sync_frames(core, deadline)
    for draft, old, new in moved:
        if is_safe and core.index.swap(draft.key, old.sequence, new):
            condemn(core, draft.key, old)
            core.counters.add(blocks_reinserted=1)
        else:
            condemn(core, draft.key, new)
    return is_safe and len(moved) == n_whole


def _batches(blocks: Sequence[tuple[bytes, Entry]]) -> list[list[tuple[bytes, Entry]]]:
    batches: list[list[tuple[bytes, Entry]]] = []
    n_bytes = _MOVED_BYTES
    for key, entry in blocks:
        if n_bytes >= _MOVED_BYTES:
            batches.append([])
            n_bytes = 0
        batches[-1].append((key, entry))
        n_bytes += entry.n_bytes
    return batches


def _draft_again(frame: Frame, entry: Entry, is_sealed: bool) -> Draft:
    """Return the frame as a draft: same buffer, same payload, a new header to come.

    A sealed one was opened: it is sealed again, for the place where it will lie.
    """
    header = frame.header
    return Draft(
        kind=Kind.BLOCK,
        key=header.key,
        attributes=header.attributes(),
        stored_bytes=header.stored_bytes,
        checksum=header.checksum,
        pages=frame.pages,
        content=header.content,
        unsealed=frame.payload if is_sealed else None,
        flags=entry.flags & EVER_READ,
    )


def _evict_rest(core: Core, victim: Segment, is_free: bool) -> None:
    """Give up what was not moved."""
    for key, entry in core.index.in_segment(victim.number):
        if core.index.remove(key, entry.sequence) is None:
            continue
        if not is_free:
            # The segment's new life failed to begin: the frame may still be alive on disk.
            core.strays.set_aside(key, entry)
        unread = not entry.flags & EVER_READ
        core.counters.add(blocks_evicted=1, blocks_evicted_unread=int(unread))
