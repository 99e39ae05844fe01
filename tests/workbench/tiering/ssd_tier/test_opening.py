"""Opening makes a store, finds one, or says why not; what it does not know it does not touch."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import (
    REAL,
    SMALL,
    TIGHT,
    answers,
    fill,
    key_of,
    open_small,
    real_store,
    sha256_of,
    sim_disk,
    wrong,
)
from workbench.errors import UsageError
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import (
    SsdTier,
    SsdTierConfig,
    StoreDamagedError,
    StoreGeometryError,
)


def closed_store(n_blocks: int = 6, config: SsdTierConfig = SMALL) -> tuple[SimDisk, dict]:
    """Return a disk with a cleanly closed store, and its blocks."""
    disk = sim_disk()
    tier = open_small(disk, disk, config)
    blocks = fill(tier, n_blocks)
    tier.close()
    return disk.reopened(), blocks


def test_a_new_store_is_empty_sound_and_whole() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    assert tier.stats().blocks == 0
    assert tier.check().sound
    segments = [name for name in disk.names() if name.startswith("segment-")]
    assert len(segments) == tier.stats().segments_total == tier.stats().segments_free
    assert {disk.size(name) for name in segments} == {SMALL.segment_bytes}


def test_two_new_stores_have_different_names() -> None:
    first, second = sim_disk(), sim_disk()
    pins = {SsdTier.open(disk, SMALL, disk).pin().store for disk in (first, second)}
    assert len(pins) == 2


def test_strangers_in_the_folder_are_left_alone(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    folder.mkdir()
    (folder / "notes.txt").write_bytes(b"mine")
    (folder / "segment-1").write_bytes(b"mine too")
    (folder / "sub").mkdir()
    with real_store(folder) as tier:
        fill(tier, 3)
        assert tier.check().sound
    assert (folder / "notes.txt").read_bytes() == b"mine"
    assert (folder / "segment-1").read_bytes() == b"mine too"


@pytest.mark.parametrize("share", [0, 1, 3])
def test_a_segment_file_of_somebody_else_is_refused_and_untouched(share: int) -> None:
    disk = sim_disk()
    disk.create("segment-00000", SMALL.segment_bytes)
    disk.rot("segment-00000", share * PAGE_BYTES, b"not a store")
    if share in (1, 3):
        # Only the places of headers tell; elsewhere a file of zeros is a creation cut short.
        disk.rot("segment-00000", 0, b"\x01")
    before = sha256_of(disk)
    with pytest.raises(StoreDamagedError, match=r"segment-00000.*(another folder|remove)"):
        open_small(disk, disk)
    assert sha256_of(disk) == before


def test_a_segment_of_another_store_is_refused_and_untouched() -> None:
    disk, _ = closed_store()
    other = sim_disk()
    SsdTier.open(other, SMALL, other, new_uuid=lambda: b"another store...").close()
    disk.rot("segment-00003", 0, other.content("segment-00003"))
    before = sha256_of(disk)
    with pytest.raises(StoreDamagedError, match=r"segment-00003: belongs to another store"):
        open_small(disk, disk)
    assert sha256_of(disk) == before


def test_a_segment_under_another_name_is_refused_and_untouched() -> None:
    disk, blocks = closed_store()
    disk.remove("segment-00003")
    disk.replace("segment-00000", "segment-00003")
    before = sha256_of(disk)
    with pytest.raises(StoreDamagedError, match=r"segment-00003.*segment-00000"):
        open_small(disk, disk)
    assert sha256_of(disk) == before
    disk.replace("segment-00003", "segment-00000")
    assert answers(open_small(disk, disk), blocks) == blocks


@pytest.mark.parametrize(
    ("config", "fix"),
    [
        (replace(SMALL, segment_bytes=8 * PAGE_BYTES), "segment_bytes"),
        (replace(SMALL, segment_bytes=32 * PAGE_BYTES, capacity_bytes=2 << 20), "segment_bytes"),
        (replace(SMALL, capacity_bytes=5 * SMALL.segment_bytes), "capacity_bytes"),
        (replace(SMALL, max_blocks=5), "max_blocks"),
    ],
)
def test_another_geometry_is_refused_and_harms_nothing(config: SsdTierConfig, fix: str) -> None:
    disk, blocks = closed_store()
    before = sha256_of(disk)
    with pytest.raises(StoreGeometryError, match=fix):
        open_small(disk, disk, config)
    assert sha256_of(disk) == before
    assert answers(open_small(disk, disk), blocks) == blocks


def test_a_store_may_be_given_more_room() -> None:
    disk, blocks = closed_store()
    larger = replace(SMALL, capacity_bytes=2 * SMALL.capacity_bytes)
    tier = open_small(disk, disk, larger)
    assert answers(tier, blocks) == blocks
    assert tier.stats().segments_total > 5
    assert tier.check().sound
    tier.close()
    assert answers(open_small(again := disk.reopened(), again, larger), blocks) == blocks


def test_a_capacity_for_too_few_segments_is_a_usage_error() -> None:
    disk = sim_disk()
    with pytest.raises(UsageError, match="capacity_bytes"):
        open_small(disk, disk, replace(SMALL, capacity_bytes=2 * SMALL.segment_bytes))
    assert disk.names() == []


def test_a_full_disk_leaves_no_half_made_store() -> None:
    disk = SimDisk(clock=VirtualClock(), capacity_bytes=3 * SMALL.segment_bytes)
    with pytest.raises(StorageError, match="No space left"):
        open_small(disk, disk)
    assert disk.names() == []


@pytest.mark.parametrize("op", ["create", "open", "sync_folder", "write", "sync"])
def test_a_store_that_cannot_be_made_is_a_typed_error_and_can_be_made_later(op: str) -> None:
    disk, clock = sim_disk(), VirtualClock()
    faults = Faults([Fault("error", op, nth=1, times=1000, number=errno.EIO)])
    engine = FaultIO(disk, faults, clock)
    with pytest.raises(StorageError, match="Input/output error"):
        open_small(FaultFolder(disk, faults), engine, SMALL, clock)
    faults.clear()
    tier = open_small(disk, disk)
    blocks = fill(tier, 3)
    assert answers(tier, blocks) == blocks


def test_a_failed_opening_closes_its_files(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        fill(tier, 3)
    smaller = replace(REAL, segment_bytes=8 * PAGE_BYTES)
    before = len(os.listdir("/dev/fd"))
    with SynchronousEngine() as engine:
        for _ in range(20):
            with pytest.raises(StoreGeometryError):
                SsdTier.open(folder, smaller, engine)
        assert len(os.listdir("/dev/fd")) == before
    with real_store(folder) as tier:
        assert tier.contains(key_of(2))


def test_opening_and_closing_leaves_no_descriptor(disk_folder: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        with real_store(disk_folder / "store") as tier:
            fill(tier, 2)
    assert len(os.listdir("/dev/fd")) == before


def test_a_left_over_temporary_snapshot_is_removed() -> None:
    disk, blocks = closed_store()
    disk.create("index.new", 3 * PAGE_BYTES)
    disk.rot("index.new", 0, disk.content("index")[:PAGE_BYTES])
    tier = open_small(disk, disk)
    assert "index.new" not in disk.names()
    assert answers(tier, blocks) == blocks
    assert tier.check().sound


def link_to_outside(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to(outside)


def fifo(path: Path, outside: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def subfolder(path: Path, outside: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "put_there"),
    [
        ("segment-00001", link_to_outside),
        ("segment-00001", fifo),
        ("segment-00001", subfolder),
        ("index", link_to_outside),
        ("index", fifo),
        ("index", subfolder),
        ("lock", link_to_outside),
        ("lock", subfolder),
    ],
)
def test_what_is_no_plain_file_is_never_followed_or_waited_for(
    disk_folder: Path, name: str, put_there: Callable[[Path, Path], None]
) -> None:
    folder, outside = disk_folder / "store", disk_folder / "outside"
    with real_store(folder) as tier:
        blocks = fill(tier, 4)
    outside.write_bytes(b"precious" * 1000)
    put_there(folder / name, outside)
    with contextlib.suppress(StorageError), real_store(folder) as tier:
        assert wrong(tier, blocks) == []
    assert outside.read_bytes() == b"precious" * 1000


def test_a_folder_that_is_a_link_is_refused(disk_folder: Path) -> None:
    (disk_folder / "elsewhere").mkdir()
    (disk_folder / "store").symlink_to(disk_folder / "elsewhere")
    with SynchronousEngine() as engine, pytest.raises(StorageError, match="store"):
        SsdTier.open(disk_folder / "store", REAL, engine)
    assert list((disk_folder / "elsewhere").iterdir()) == []


def test_the_message_of_an_error_names_no_absolute_path(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder), pytest.raises(StorageError) as told:
        SsdTier.open(folder, REAL, SynchronousEngine())
    assert str(disk_folder) not in str(told.value)


def test_a_tight_store_opens_with_its_own_config_only() -> None:
    disk, blocks = closed_store(3, TIGHT)
    assert answers(open_small(disk, disk, TIGHT), blocks) == blocks
