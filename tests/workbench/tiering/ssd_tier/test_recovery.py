"""After a clean stop, a crash, a lost or damaged index the store holds what it must."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.torture.history import random_script
from tests.workbench.tiering.ssd_tier.store_helpers import (
    REAL,
    SMALL,
    answers,
    faulty,
    fill,
    key_of,
    open_small,
    real_store,
    sim_disk,
    value_of,
    wrong,
)
from workbench import paths
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.frame import Kind
from workbench.tiering.ssd_tier.recovery import entry_of
from workbench.tiering.ssd_tier.scan import scan
from workbench.tiering.ssd_tier.segments import FIRST_PAGE

Blocks = dict[bytes, bytes]


def worked_on(close: bool) -> tuple[SimDisk, Blocks]:
    """Return the disk of a store with overwritten and deleted blocks, flushed, and its blocks."""
    disk = sim_disk()
    tier = open_small(disk, disk)
    fill(tier, 8)
    blocks = fill(tier, 6, 2000, version=1)
    for number in (6, 7):
        tier.delete(key_of(number))
    assert tier.flush()
    if close:
        tier.close()
    return disk.reopened(), blocks


def nothing(disk: SimDisk) -> None:
    """Leave the disk as it is."""


def lose_index(disk: SimDisk) -> None:
    disk.remove("index")


def damage_header(disk: SimDisk) -> None:
    disk.rot("index", 100, b"\xff")


def damage_tables(disk: SimDisk) -> None:
    disk.rot("index", disk.size("index") - PAGE_BYTES, b"\xff" * 8)


def cut_index(disk: SimDisk) -> None:
    disk.truncate("index", disk.size("index") - PAGE_BYTES)


def empty_index(disk: SimDisk) -> None:
    disk.truncate("index", 0)


def lengthen_index(disk: SimDisk) -> None:
    disk.rot("index", disk.size("index"), bytes(PAGE_BYTES))


DAMAGES = [
    nothing,
    lose_index,
    damage_header,
    damage_tables,
    cut_index,
    empty_index,
    lengthen_index,
]


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_all_flushed_blocks_are_found(close: bool, damage: Callable[[SimDisk], None]) -> None:
    disk, blocks = worked_on(close)
    damage(disk)
    tier = open_small(disk, disk)
    assert answers(tier, blocks) == blocks
    assert tier.get_many([key_of(6), key_of(7)]) == [None, None]
    assert tier.stats().blocks == tier.stats().counts.blocks_recovered == 6
    assert tier.check().sound


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_clean_stop_is_started_from_the_snapshot_alone(
    damage: Callable[[SimDisk], None],
) -> None:
    disk, _ = worked_on(close=True)
    damage(disk)
    tier = open_small(disk, disk)
    assert (tier.stats().counts.headers_scanned > 0) == (damage is not nothing)


def test_what_was_not_flushed_survives_a_killed_process() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    blocks = fill(tier, 6)
    tier.delete(key_of(5))
    del blocks[key_of(5)]
    again = open_small(image := disk.reopened(), image)
    assert answers(again, blocks) == blocks
    assert again.get(key_of(5)) is None


@pytest.mark.parametrize("seed", range(4))
def test_what_was_flushed_survives_a_power_loss(seed: int) -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    old = fill(tier, 6)
    tier.delete(key_of(5))
    assert tier.flush()
    since = disk.position
    new = fill(tier, 3, 2500, version=1)
    tier.delete(key_of(4))
    for image in disk.crash_images(np.random.default_rng(seed), 25, since):
        again = open_small(image, image)
        for key in map(key_of, range(3)):
            assert again.get(key) in (old[key], new[key])
        assert again.get(key_of(3)) == old[key_of(3)]
        assert again.get(key_of(4)) in (None, old[key_of(4)])
        assert again.get(key_of(5)) is None
        assert again.check().sound


def test_recovering_again_finds_the_same_and_scans_nothing() -> None:
    disk, blocks = worked_on(close=False)
    first = open_small(disk, disk)
    scanned = first.stats().counts.headers_scanned
    assert scanned > 0
    # The recovered store was killed before anything else happened to it.
    second = open_small(again := disk.reopened(), again)
    assert answers(second, blocks) == blocks
    assert second.stats().counts.headers_scanned == 0
    assert set(first._core.index.keys()) == set(second._core.index.keys())


@pytest.mark.parametrize("damage", [nothing, lose_index, damage_tables])
def test_a_crash_in_every_recovery_is_harmless(damage: Callable[[SimDisk], None]) -> None:
    """Recover, cut the power at any step of that, recover, and so on, three deep."""
    rng = np.random.default_rng(3)
    disk, blocks = worked_on(close=False)
    damage(disk)
    images = [disk]
    for _ in range(3):
        crashed = []
        for image in images:
            open_small(image, image)
            crashed += list(image.crash_images(rng, 4))
        images = crashed[:16]
    for image in images:
        tier = open_small(image, image)
        assert answers(tier, blocks) == blocks
        assert tier.get_many([key_of(6), key_of(7)]) == [None, None]
        assert tier.check().sound


@pytest.mark.parametrize("op", ["read", "write", "sync", "create", "replace", "sync_folder"])
def test_an_error_at_any_call_of_recovery_gives_no_wrong_bytes_and_spares_what_was_read(
    op: str,
) -> None:
    nth, fired = 1, True
    while fired:
        disk, blocks = worked_on(close=False)
        disk.remove("index")
        faults = Faults([Fault("error", op, nth=nth)])
        clock = VirtualClock()
        try:
            tier = open_small(FaultFolder(disk, faults), FaultIO(disk, faults, clock), SMALL, clock)
            assert wrong(tier, blocks) == []
        except StorageError:
            pass
        fired = bool(faults.injected.total())
        again = open_small(image := disk.reopened(), image)
        assert wrong(again, blocks) == []
        if op != "read":
            assert answers(again, blocks) == blocks
        assert again.get_many([key_of(6), key_of(7)]) == [None, None]
        nth += 1
    assert nth > 2 or op in ("create", "replace", "sync_folder")


def test_the_later_of_two_frames_counts_without_an_index() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    for version in range(20):
        tier.put(key_of(1), value_of(1, version, 3000 + version))
    newest = value_of(1, 19, 3019)
    again = open_small(image := disk.reopened(), image)
    assert again.get(key_of(1)) == newest
    tier.flush()
    image = disk.reopened()
    if "index" in image.names():
        image.remove("index")
    assert open_small(image, image).get(key_of(1)) == newest


def test_a_damaged_newest_frame_does_not_bring_an_older_one_back_after_a_flush() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    tier.put(key_of(1), value_of(1, 0, 3000))
    tier.put(key_of(1), value_of(1, 1, 3000))
    assert tier.flush()
    entry = tier._core.index.get(key_of(1))
    assert entry is not None
    disk.rot(f"segment-{entry.segment:05d}", entry.page * PAGE_BYTES + 9, b"\xff")
    image = disk.reopened()
    image.remove("index")
    assert open_small(image, image).get(key_of(1)) is None


@pytest.mark.parametrize("what", ["put", "tombstone"])
def test_a_torn_last_frame_is_as_if_it_never_was(what: str) -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    blocks = fill(tier, 3)
    assert tier.flush()
    open_segment = tier._core.table.open
    assert open_segment is not None
    name, page = f"segment-{open_segment.number:05d}", open_segment.end_page
    if what == "put":
        tier.put(key_of(0), value_of(0, 1, 9000))
        cuts = range(0, 4 * PAGE_BYTES, 512)
    else:
        tier.delete(key_of(0))
        cuts = range(0, PAGE_BYTES, 512)
    for cut in cuts:
        image = disk.reopened()
        end = cuts.stop
        image.rot(name, page * PAGE_BYTES + cut, bytes(end - cut))
        again = open_small(image, image)
        allowed = {blocks[key_of(0)], value_of(0, 1, 9000) if what == "put" else None}
        assert again.get(key_of(0)) in allowed
        assert answers(again, blocks) | {key_of(0): b""} == blocks | {key_of(0): b""}


@pytest.mark.parametrize("lose", [False, True])
@pytest.mark.parametrize("number", range(5))
def test_a_lost_segment_costs_its_own_blocks_only(number: int, lose: bool) -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    blocks = fill(tier, 12, 9000)
    tier.close()
    kept = {
        key: value
        for key, value in blocks.items()
        if (entry := tier._core.index.get(key)) and entry.segment != number
    }
    disk = disk.reopened()
    disk.remove(f"segment-{number:05d}")
    if lose:
        disk.remove("index")
    again = open_small(disk, disk)
    assert wrong(again, blocks) == []
    assert answers(again, kept) == kept
    assert again.stats().blocks == len(kept)
    assert disk.size(f"segment-{number:05d}") == SMALL.segment_bytes
    assert again.check().sound


def test_an_old_copy_of_a_segment_brings_nothing_old_back() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    fill(tier, 12, 9000)
    tier.flush()
    old = {name: disk.content(name) for name in disk.names() if name.startswith("segment")}
    for version in range(1, 6):
        newest = fill(tier, 12, 9000, version)
    tier.close()
    for name, content in old.items():
        image = disk.reopened()
        image.rot(name, 0, content)
        again = open_small(image, image)
        assert wrong(again, newest) == []
        again.close()
        assert wrong(open_small(last := image.reopened(), last), newest) == []


def test_numbers_never_go_back() -> None:
    disk = sim_disk()
    numbers = []
    for version in range(6):
        tier = open_small(disk, disk)
        fill(tier, 3, version=version)
        tier.flush()
        numbers.append(tier._core.next_sequence)
        if version % 2:
            tier.close()
        disk = disk.reopened()
    assert numbers == sorted(set(numbers))


def test_an_entry_made_from_a_header_is_the_one_that_was_put() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    fill(tier, 4)
    core = tier._core
    starts = [(segment, FIRST_PAGE) for segment in core.table.segments]
    frames = [header for one in scan(core, starts) for header in one.frames]
    blocks = [header for header in frames if header.kind == Kind.BLOCK]
    assert [entry_of(header) for header in blocks] == [
        core.index.get(header.key) for header in blocks
    ]


def test_unsynced_blocks_that_are_torn_are_counted_dead_not_alive() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    tier.put(key_of(1), value_of(1, 0, 9000))
    entry = tier._core.index.get(key_of(1))
    assert entry is not None
    image = disk.reopened()
    image.rot(f"segment-{entry.segment:05d}", (entry.page + 2) * PAGE_BYTES, bytes(512))
    again = open_small(image, image)
    assert not again.contains(key_of(1))
    assert again.stats().counts.blocks_recovered == 0


@pytest.mark.parametrize("seed", range(3))
def test_random_scripts_cut_by_power_losses_three_times_over(seed: int) -> None:
    rng = np.random.default_rng(seed)
    disk, safe = sim_disk(), {}
    for round_ in range(3):
        tier = open_small(disk, disk)
        assert all(tier.get(key) == value for key, value in safe.items())
        since = disk.position
        pending: dict[bytes, set[bytes | None]] = {}
        for step in random_script(10 * seed + round_, 25):
            key = key_of(step.number)
            if step.verb == "flush":
                assert tier.flush()
                since, pending = disk.position, {}
                safe = {k: v for k in map(key_of, range(8)) if (v := tier.get(k)) is not None}
            elif step.verb == "put":
                assert tier.put(key, step.value or b"")
                pending.setdefault(key, {safe.get(key)}).add(step.value or b"")
            else:
                tier.delete(key)
                pending.setdefault(key, {safe.get(key)}).add(None)
        (disk,) = disk.crash_images(rng, 1, since)
        found = open_small(again := disk.reopened(), again)
        for key in map(key_of, range(8)):
            assert found.get(key) in pending.get(key, {safe.get(key)})
        safe = {}


def test_a_failed_snapshot_leaves_the_old_one_right() -> None:
    for op in ("create", "write", "sync", "replace", "sync_folder"):
        disk = sim_disk()
        tier = open_small(disk, disk)
        fill(tier, 4)
        tier.close()
        disk = disk.reopened()
        tier, faults, _, _ = faulty(disk)
        blocks = fill(tier, 4, 2000, version=1)
        assert tier.flush()
        faults.add(Fault("error", op, nth=1, times=100))
        tier.close()
        again = open_small(image := disk.reopened(), image)
        assert answers(again, blocks) == blocks, op


CHILD = """
import sys
from pathlib import Path
from tests.torture.model import key_of, value_of
from tests.workbench.tiering.ssd_tier.store_helpers import REAL
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import SsdTier

tier = SsdTier.open(Path(sys.argv[1]), REAL, SynchronousEngine())
for number in range(10_000):
    assert tier.put(key_of(number % 8), value_of(number % 8, number, 3000))
    print(number, flush=True)
"""


def test_a_killed_process_on_a_real_folder_loses_nothing_that_returned(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    command = [sys.executable, "-c", CHILD, str(folder)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=paths.root(), env=dict(os.environ)
    )
    assert child.stdout is not None
    last = -1
    for line in child.stdout:
        last = int(line)
        if last == 30:
            child.kill()
    child.wait()
    child.stdout.close()
    assert last >= 30
    newest: dict[int, int] = {number % 8: number for number in range(last + 1)}
    with real_store(folder) as tier:
        for key, version in newest.items():
            # The one that was under way may have come through.
            allowed = [value_of(key, version, 3000)]
            if (last + 1) % 8 == key:
                allowed.append(value_of(key, last + 1, 3000))
            assert tier.get(key_of(key)) in allowed
        assert tier.check().sound
        assert tier.stats().counts.blocks_recovered == 8


def test_settings_that_are_no_geometry_may_change_between_openings() -> None:
    disk, blocks = worked_on(close=True)
    config = SsdTierConfig(
        capacity_bytes=SMALL.capacity_bytes,
        segment_bytes=SMALL.segment_bytes,
        max_blocks=40,
        flush_every_s=None,
        snapshot_every_segments=1,
        pool_bytes=0,
        compact_below_frac=0.0,
        reinsert_frac=0.0,
    )
    tier = SsdTier.open(disk, config, disk)
    assert answers(tier, blocks) == blocks
    assert REAL.segment_bytes == config.segment_bytes


def test_an_old_copy_of_a_segment_brings_no_deleted_block_back() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    fill(tier, 4, 9000)
    tier.flush()
    entry = tier._core.index.get(key_of(0))
    assert entry is not None
    name = f"segment-{entry.segment:05d}"
    old = disk.content(name)
    epoch = tier._core.table[entry.segment].epoch
    for number in range(4):
        tier.delete(key_of(number))
    version = 0
    while tier._core.table[entry.segment].epoch == epoch:
        version += 1
        assert tier.put(key_of(9), value_of(9, version, 9000))
    # By now neither the tombstones nor the marks against the old frames need be anywhere.
    for later in range(version + 1, version + 60):
        assert tier.put(key_of(9), value_of(9, later, 9000))
    tier.close()
    disk = disk.reopened()
    disk.rot(name, 0, old)
    again = open_small(disk, disk)
    assert again.get_many(list(map(key_of, range(4)))) == [None] * 4
