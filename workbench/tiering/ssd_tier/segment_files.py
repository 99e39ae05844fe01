"""Make, find, open and renew the files of the segments.

Follows: room is reserved before anything is stored; a file that is no segment of this store is
never written to.
Leaves out: frames.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from workbench.tiering.async_io.engine import PAGE_BYTES, DeadlineError, Request, StorageError
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.device import first_error
from workbench.tiering.ssd_tier.errors import StoreDamagedError, StoreGeometryError
from workbench.tiering.ssd_tier.frame import BadFrameError
from workbench.tiering.ssd_tier.layout import segment_name, segment_number
from workbench.tiering.ssd_tier.segment_header import SegmentHeader, Use, pack, unpack
from workbench.tiering.ssd_tier.segments import FIRST_PAGE, Segment, State

_START_ANEW = "or remove the folder to start with an empty store"


class FoundSegment(NamedTuple):
    """A segment's file as it is; ``blank``: where headers belong there is nothing but zeros."""

    file: int
    n_pages: int
    header: SegmentHeader | None = None
    blank: bool = False


def find_segments(core: Core, found: dict[int, FoundSegment]) -> None:
    """Open every segment's file there is and read its headers; change nothing.

    Raises
    ------
    StorageError         if a file cannot be opened
    StoreVersionError    if one is of another version
    StoreGeometryError   if there are more of them, or of another size, than configured
    """
    folder = core.device.folder
    for name in folder.names():
        if (number := segment_number(name)) is not None:
            n_pages = folder.size(name) // PAGE_BYTES
            found[number] = FoundSegment(core.device.open(name), n_pages)
    for number, segment in found.items():
        found[number] = _with_header(core, segment, segment_name(number))
        _refuse_misfit(core, number, found[number])


def _with_header(core: Core, segment: FoundSegment, name: str) -> FoundSegment:
    """Read both headers; the newer valid one counts, as one of them may be torn, rotten or lost."""
    last = min(segment.n_pages, core.layout.segment_pages) - 1
    pages = sorted({0, max(0, last)})
    buffers = [core.pool.lease(PAGE_BYTES) for _ in pages]
    batch = [
        Request("read", segment.file, page * PAGE_BYTES, buffer)
        for page, buffer in zip(pages, buffers, strict=True)
    ]
    errors = core.device.submit(batch, core.deadline(core.config.read_deadline_s))
    read = [buffer for buffer, error in zip(buffers, errors, strict=True) if error is None]
    headers = []
    for buffer in read:
        with contextlib.suppress(BadFrameError):
            headers.append(unpack(buffer, name))
    newest = max(headers, key=lambda header: header.epoch, default=None)
    return segment._replace(header=newest, blank=segment.n_pages == 0 or _all_zeros(read))


def _all_zeros(pages: Sequence[memoryview]) -> bool:
    return bool(pages) and not any(any(page) for page in pages)


def _refuse_misfit(core: Core, number: int, segment: FoundSegment) -> None:
    layout, name, header = core.layout, segment_name(number), segment.header
    if number >= layout.n_segments:
        raise StoreGeometryError(
            f"{name}: the store has more segments than the {layout.n_segments} that "
            f"capacity_bytes={core.config.capacity_bytes} holds; give back its capacity, "
            f"{_START_ANEW}"
        )
    if header is not None and header.n_pages != layout.segment_pages:
        raise StoreGeometryError(
            f"{name}: its segments have {header.n_pages * PAGE_BYTES} bytes, configured are "
            f"segment_bytes={core.config.segment_bytes}; configure those, {_START_ANEW}"
        )
    if header is not None and header.number != number:
        raise StoreDamagedError(
            f"{name}: its header says that it is {segment_name(header.number)}; rename it back, or "
            "remove it to go on without its blocks"
        )


def identify(found: dict[int, FoundSegment], snapshot_store: bytes | None) -> bytes | None:
    """Return the uuid of the store that the segments belong to; None if there is no store yet.

    Raises
    ------
    StoreDamagedError   if one belongs to another store than the others, or none can be recognised
    """
    headers = {n: segment.header for n, segment in found.items() if segment.header is not None}
    owners = [header.store for header in headers.values()]
    if not owners:
        _refuse_unknown(found, snapshot_store)
        return snapshot_store
    # The store that most of them name; a stranger among them is not ours to overwrite.
    owner = snapshot_store if snapshot_store in owners else max(owners, key=owners.count)
    for number, header in headers.items():
        if header.store != owner:
            raise StoreDamagedError(
                f"{segment_name(number)}: belongs to another store; move it to its own folder, or "
                "remove it"
            )
    return owner


def keys_named(found: dict[int, FoundSegment]) -> bytes | None:
    """Return the id of the keys that the segments name; None if there is no store yet.

    Raises
    ------
    StoreDamagedError   if they do not all name the same
    """
    named = {segment.header.sealed_as for segment in found.values() if segment.header is not None}
    if len(named) > 1:
        raise StoreDamagedError(
            f"the segments name {len(named)} different keys; files of several stores were mixed: "
            "put them apart again"
        )
    return named.pop() if named else None


def _refuse_unknown(found: dict[int, FoundSegment], snapshot_store: bytes | None) -> None:
    for number, segment in found.items():
        # Zeros are what a creation leaves that was cut short.
        if snapshot_store is None and not segment.blank:
            raise StoreDamagedError(
                f"{segment_name(number)}: neither it nor any other file here can be recognised as "
                f"part of a store; give another folder, {_START_ANEW}"
            )


def enter_segments(core: Core, found: dict[int, FoundSegment]) -> None:
    """Fill the table; files that are missing, or whose headers are gone, are made anew.

    Raises
    ------
    StorageError   if a file cannot be made; those of a store that was to be new are removed again
    """
    numbers = range(core.layout.n_segments)
    lost = [n for n in numbers if n not in found or found[n].header is None]
    debris = [n for n in lost if n in found]
    for number in debris:
        core.device.engine.forget(found.pop(number).file)
        core.device.folder.remove(segment_name(number))
    _make_files(core, lost, is_new=not found)
    for number in numbers:
        if number not in found:
            file = core.device.open(segment_name(number))
            found[number] = FoundSegment(file, core.layout.segment_pages)
        core.table.segments.append(_as_found(number, found[number]))
    core.counters.add(segments_lost=len(debris))


def _as_found(number: int, found: FoundSegment) -> Segment:
    segment = Segment(number, found.file, found.n_pages)
    if found.header is not None:
        segment.epoch = found.header.epoch
        segment.state = State.FREE if found.header.use == Use.FREE else State.SEALED
    return segment


def _make_files(core: Core, numbers: list[int], is_new: bool) -> None:
    folder = core.device.folder
    made = []
    try:
        for number in numbers:
            folder.create(segment_name(number), core.layout.segment_bytes)
            made.append(segment_name(number))
        if numbers:
            folder.sync()
    except StorageError:
        for name in made if is_new else ():
            with contextlib.suppress(StorageError):
                folder.remove(name)
        raise


def begin_lives(
    core: Core, segments: Sequence[Segment], use: Use, deadline: Deadline
) -> StorageError | None:
    """Give segments a new epoch, durably; every frame in them is dead from then on.

    A segment for which that fails is BAD: nobody knows which epoch its headers show. Where there is
    no time left nothing is tried, and nothing changes.
    """
    if deadline.left_s() <= 0:
        return DeadlineError("a segment's new life was not begun: the call's time is over")
    errors = {segment.number: _make_whole(core, segment) for segment in segments}
    whole = [segment for segment in segments if errors[segment.number] is None]
    for segment, error in zip(whole, _write_headers(core, whole, use, deadline), strict=True):
        errors[segment.number] = error
    for segment in segments:
        segment.end_page = segment.synced_page = FIRST_PAGE
        segment.state = State.FREE if use == Use.FREE else State.OPEN
        if (error := errors[segment.number]) is not None:
            segment.state = State.BAD
            # A late header must not land upon a later one.
            segment.hung = segment.hung or isinstance(error, DeadlineError)
    return first_error(list(errors.values()))


def _write_headers(
    core: Core, segments: Sequence[Segment], use: Use, deadline: Deadline
) -> list[StorageError | None]:
    layout = core.layout
    batch = []
    for segment in segments:
        segment.epoch = core.take_sequence()
        place = (segment.number, layout.segment_pages, segment.epoch)
        header = SegmentHeader(use, core.store, *place, core.sealed_as)
        page = core.pool.lease(PAGE_BYTES)
        page[:] = pack(header)
        places = (0, (layout.segment_pages - 1) * PAGE_BYTES)
        batch += [Request("write", segment.file, place, page) for place in places]
    errors = core.device.submit(batch, deadline)
    synced = core.device.sync([segment.file for segment in segments], deadline)
    return [errors[2 * i] or errors[2 * i + 1] or synced[i] for i in range(len(segments))]


def _make_whole(core: Core, segment: Segment) -> StorageError | None:
    """Replace a file that was cut, or written beyond its end; nothing in it is wanted any more."""
    if segment.n_pages == core.layout.segment_pages and segment.file:
        return None
    name, folder, engine = segment_name(segment.number), core.device.folder, core.device.engine

    def replace_file() -> None:
        # It may have failed at any of these steps before.
        if segment.file:
            engine.forget(segment.file)
            segment.file = 0
        if name in folder.names():
            folder.remove(name)
            segment.n_pages = 0
        folder.create(name, core.layout.segment_bytes)
        segment.n_pages = core.layout.segment_pages
        folder.sync()
        segment.file = engine.open(folder.path(name))

    return core.device.change(replace_file)
