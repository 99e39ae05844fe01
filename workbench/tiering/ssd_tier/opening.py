"""Bring a store up: find its files, recover its blocks, make both durable.

Follows: nothing is changed before everything there has been looked at and recognised.
Leaves out: the lock (lock.py) and what comes after (tier.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.errors import StoreRolledBackError, StoreSealedError
from workbench.tiering.ssd_tier.layout import KEYS
from workbench.tiering.ssd_tier.pin import Pin
from workbench.tiering.ssd_tier.recovery import recover
from workbench.tiering.ssd_tier.segment_files import (
    FoundSegment,
    begin_lives,
    enter_segments,
    find_segments,
    identify,
    keys_named,
)
from workbench.tiering.ssd_tier.segment_header import NOT_SEALED, Use
from workbench.tiering.ssd_tier.side_file import SideFile
from workbench.tiering.ssd_tier.snapshot import Snapshot
from workbench.tiering.ssd_tier.snapshot_file import find_snapshot, publish, remove_leftovers


def open_store(core: Core, new_uuid: Callable[[], bytes], pin: Pin | None) -> None:
    """Make a new store, or recover the one that is there.

    Raises
    ------
    StorageError   if it cannot be had, each kind with its own class (errors.py); the engine's files
                   are closed again
    """
    found: dict[int, FoundSegment] = {}
    try:
        snapshot = find_snapshot(core)
        find_segments(core, found)
        snapshot_store = None if snapshot is None else snapshot.header.store
        owner = identify(found, snapshot_store)
        core.store = owner or new_uuid()
        core.sealed_as = _unlock(core, found)
        if snapshot_store != core.store:
            snapshot = None
        _bring_up(core, found, snapshot, pin, is_new=owner is None)
    except BaseException:
        _close_files(core, found)
        if core.sealing is not None:
            core.sealing.close()
        raise


def _unlock(core: Core, found: dict[int, FoundSegment]) -> bytes:
    """Return which keys the store is sealed with; refuse keys it has not, and none where it has."""
    named = keys_named(found)
    if core.sealing is None:
        if named not in (None, NOT_SEALED) or KEYS in core.device.folder.names():
            raise StoreSealedError(
                "the store is sealed: give the key it was made with (--key-file, or the variable "
                "WORKBENCH_KEY_FILE), or another folder"
            )
        return NOT_SEALED
    if named == NOT_SEALED:
        raise StoreSealedError(
            "the store is not sealed, and a key was given: leave the key away, or give another "
            "folder, where a sealed store can be made"
        )
    return core.sealing.unlock(SideFile(core.device.engine, core.device.folder, KEYS), named)


def _bring_up(
    core: Core,
    found: dict[int, FoundSegment],
    snapshot: Snapshot | None,
    pin: Pin | None,
    is_new: bool,
) -> None:
    if pin is not None and is_new:
        raise StoreRolledBackError(_ROLLED_BACK)
    remove_leftovers(core)
    enter_segments(core, found)
    recovered = recover(core, snapshot)
    if pin is not None and (pin.store != core.store or recovered.newest < pin.sequence):
        raise StoreRolledBackError(_ROLLED_BACK)
    deadline = core.deadline(core.config.write_deadline_s)
    error = begin_lives(core, recovered.renewed, Use.FREE, deadline)
    if is_new and error is not None:
        raise error
    if recovered.scanned or recovered.renewed or snapshot is None:
        # Best effort: until it succeeds the next opening scans again.
        publish(core, core.deadline(core.config.write_deadline_s))


_ROLLED_BACK = (
    "the store is older than its pin, or another one: it was restored from a copy; remove the "
    "folder, or open it without a pin to accept that"
)


def _close_files(core: Core, found: dict[int, FoundSegment]) -> None:
    files = {segment.file for segment in found.values()}
    files.update(segment.file for segment in core.table.segments)
    for file in files:
        with contextlib.suppress(StorageError):
            core.device.engine.forget(file)
