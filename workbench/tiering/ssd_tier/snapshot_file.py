"""Publish index snapshots, and find the last one.

Follows: write to a temporary name, sync, rename, sync the folder (Pillai et al., OSDI'14); data
before index: what a snapshot speaks of is durable before it.
Leaves out: the format (snapshot.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.async_io.engine import PAGE_BYTES, Request, StorageError
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.device import first_error
from workbench.tiering.ssd_tier.durability import flush
from workbench.tiering.ssd_tier.errors import StoreVersionError
from workbench.tiering.ssd_tier.frame import BadFrameError
from workbench.tiering.ssd_tier.layout import SNAPSHOT, SNAPSHOT_TEMP, snapshot_bytes
from workbench.tiering.ssd_tier.segments import State
from workbench.tiering.ssd_tier.snapshot import (
    SEGMENT_ROW_DTYPE,
    Snapshot,
    SnapshotHeader,
    decode,
    decode_header,
    encode,
)

_PIECE_BYTES = 1 << 20
_NO_SUM = bytes(16)


def publish(core: Core, deadline: Deadline) -> bool:
    """Flush, then replace the snapshot by one of this moment; return whether both worked.

    The writer's lock is held. On failure the old snapshot stays, and stays right.
    """
    if not flush(core, deadline):
        core.counters.add(snapshots_failed=1)
        return False
    rows = core.index.dump()
    n_blocks = rows.nbytes // core.index.row_bytes
    n_bytes = snapshot_bytes(core.layout.n_segments, n_blocks)
    buffer = core.pool.lease(n_bytes)
    header = SnapshotHeader(
        store=core.store,
        n_segments=core.layout.n_segments,
        segment_pages=core.layout.segment_pages,
        n_blocks=n_blocks,
        next_sequence=core.next_sequence,
        durable_sequence=core.durable_sequence,
        tables_sum=_NO_SUM,
    )
    encode(buffer[:PAGE_BYTES], buffer[PAGE_BYTES:], header, _segment_rows(core), rows)
    if not _write(core, buffer, deadline):
        remove_leftovers(core)
        core.counters.add(snapshots_failed=1)
        return False
    core.counters.add(snapshots=1)
    core.filled_segments = 0
    return True


def _segment_rows(core: Core) -> NDArray[np.void]:
    """Return the segments' table.

    Blocks that could not be loaded are known to this process only: their segments get epoch 0, so
    that the next opening scans them. Where a frame could not be marked dead, or not be read, all
    segments do: what speaks against it may be a tombstone anywhere.
    """
    uncertain = core.strays.segments_set_aside()
    if core.strays.stuck() or core.strays.doubted():
        uncertain = {segment.number for segment in core.table.segments}
    rows = np.zeros(len(core.table.segments), SEGMENT_ROW_DTYPE)
    for segment in core.table.segments:
        state = State.SEALED if segment.state == State.BAD else segment.state
        epoch = 0 if segment.number in uncertain else segment.epoch
        rows[segment.number] = (epoch, segment.end_page, state, 0)
    return rows


def _write(core: Core, content: memoryview, deadline: Deadline) -> bool:
    folder = core.device.folder
    if SNAPSHOT_TEMP in folder.names() and core.device.change(lambda: folder.remove(SNAPSHOT_TEMP)):
        return False
    if core.device.change(lambda: folder.create(SNAPSHOT_TEMP, content.nbytes)):
        return False
    core.snapshot_temp_bytes = content.nbytes
    try:
        file = core.device.open(SNAPSHOT_TEMP)
    except StorageError:
        return False
    batch = [
        Request("write", file, at, content[at : at + _PIECE_BYTES])
        for at in range(0, content.nbytes, _PIECE_BYTES)
    ]
    error = first_error(core.device.submit(batch, deadline))
    error = error or first_error(core.device.sync([file], deadline))
    core.device.engine.forget(file)
    error = error or core.device.change(lambda: folder.replace(SNAPSHOT_TEMP, SNAPSHOT))
    if error is not None:
        return False
    core.snapshot_bytes, core.snapshot_temp_bytes = content.nbytes, 0
    return core.device.change(folder.sync) is None


def find_snapshot(core: Core) -> Snapshot | None:
    """Read the published snapshot; None if there is none, or it is damaged or unreadable.

    Raises
    ------
    StoreVersionError   if it is whole and of another version
    """
    folder = core.device.folder
    if SNAPSHOT not in folder.names():
        return None
    file = None
    try:
        file = core.device.open(SNAPSHOT, writable=False)
        return _read(core, file, folder.size(SNAPSHOT))
    except StoreVersionError:
        raise
    except StorageError:
        # Damaged or unreadable: the frames speak for themselves.
        return None
    finally:
        if file is not None:
            core.device.engine.forget(file)


def _read(core: Core, file: int, n_bytes: int) -> Snapshot:
    page = core.pool.lease(PAGE_BYTES)
    _fetch(core, file, 0, page)
    header = decode_header(page)
    if header.n_bytes != n_bytes:
        raise BadFrameError(f"{SNAPSHOT}: has {n_bytes} bytes instead of {header.n_bytes}")
    tables = core.pool.lease(n_bytes - PAGE_BYTES)
    _fetch(core, file, PAGE_BYTES, tables)
    core.snapshot_bytes = n_bytes
    return decode(header, tables)


def _fetch(core: Core, file: int, offset: int, target: memoryview) -> None:
    batch = [
        Request("read", file, offset + at, target[at : at + _PIECE_BYTES])
        for at in range(0, target.nbytes, _PIECE_BYTES)
    ]
    errors = core.device.submit(batch, core.deadline(core.config.read_deadline_s))
    if (error := first_error(errors)) is not None:
        raise error


def remove_leftovers(core: Core) -> None:
    """Remove the temporary file of a snapshot that was not published, or count it."""
    folder = core.device.folder
    if SNAPSHOT_TEMP not in folder.names():
        core.snapshot_temp_bytes = 0
        return
    core.snapshot_temp_bytes = folder.size(SNAPSHOT_TEMP)
    if core.device.change(lambda: folder.remove(SNAPSHOT_TEMP)) is None:
        core.snapshot_temp_bytes = 0
