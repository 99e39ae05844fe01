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
    if not core.table.free():
        reclaim(core, deadline)
    # One that failed before is better than none: the device may be well again.
    for segment in [*core.table.free(), *core.table.renewable()][:1]:
        if _begin_life(core, segment, Use.USED, deadline):
            core.table.open = segment
    if core.table.open is not None and not core.table.free():
        _keep_spare(core, deadline)
    return core.table.open is not None


def _keep_spare(core: Core, deadline: Deadline) -> None:
    """Free a segment: one that failed before, if the device is well again, else by reclaim."""
    for segment in core.table.renewable()[:1]:
        if _begin_life(core, segment, Use.FREE, deadline):
            return
    reclaim(core, deadline)


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
    victim, sparse = core.table.victim(core.index, core.config.compact_below_frac)
    if evict:
        victim = core.table.oldest(core.index)
    elif doubted := [core.table[n] for n in core.strays.doubted()]:
        # First of all: a tombstone elsewhere may speak against something in it.
        victim = next((one for one in doubted if one.state == State.SEALED), victim)
    # Marks and tombstones in it are needed until what they speak against is dead on disk.
    if victim is None or not flush(core, deadline):
        return False
    if core.strays.stuck() and not protect(core, unpromised_only=False, deadline=deadline):
        return False
    if not evict:
        _move(core, _worth_moving(core, victim, sparse), deadline)
    if not sync_frames(core, deadline):
        return False
    is_free = _begin_life(core, victim, Use.FREE, deadline)
    _evict_rest(core, victim, is_free)
    core.counters.add(segments_reclaimed=int(is_free))
    return is_free


def _worth_moving(core: Core, victim: Segment, sparse: bool) -> list[tuple[bytes, Entry]]:
    """Return the blocks to move, the newest first, no more than there is room for."""
    frac = 0.5 if sparse else core.config.reinsert_frac
    room_bytes = min(
        frac * core.layout.segment_bytes,
        (core.table.room_pages() - core.layout.frame_pages_max) * PAGE_BYTES,
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


def _move(core: Core, blocks: Sequence[tuple[bytes, Entry]], deadline: Deadline) -> None:
    """Write blocks again at the end of the log, make that durable, then let the index see it."""
    moved: list[tuple[Draft, Entry, Entry]] = []
    for some in _batches(blocks):
        frames = load(core, [Wanted(key, entry) for key, entry in some], deadline)
        whole = [
            (_draft_again(frame, entry), entry)
            for frame, (_, entry) in zip(frames, some, strict=True)
            if isinstance(frame, Frame)
        ]
        entries = append(core, [draft for draft, _ in whole], deadline)
        for (draft, old), new in zip(whole, entries, strict=False):
            if new is not None:
                moved.append((draft, old, new))
    is_safe = bool(moved) and sync_frames(core, deadline)
    for draft, old, new in moved:
        if is_safe and core.index.swap(draft.key, old.sequence, new):
            condemn(core, draft.key, old)
            core.counters.add(blocks_reinserted=1)
        else:
            condemn(core, draft.key, new)


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


def _draft_again(frame: Frame, entry: Entry) -> Draft:
    """Return the frame as a draft: same buffer, same payload, a new header to come."""
    header = frame.header
    return Draft(
        kind=Kind.BLOCK,
        key=header.key,
        attributes=header.attributes(),
        stored_bytes=header.stored_bytes,
        checksum=header.checksum,
        pages=frame.pages,
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
