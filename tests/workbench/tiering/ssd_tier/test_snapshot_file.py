"""Snapshots are published whole or not at all, and what is found is whole or nothing."""

import errno
from dataclasses import replace

import numpy as np
import pytest
import xxhash

from tests.torture.stores import SMALL
from tests.workbench.tiering.ssd_tier.bare_cores import bare_core, entry_of, key_of, new_disk
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.ssd_tier.errors import StoreVersionError
from workbench.tiering.ssd_tier.index import Index
from workbench.tiering.ssd_tier.layout import SNAPSHOT, SNAPSHOT_TEMP, snapshot_bytes
from workbench.tiering.ssd_tier.segment_files import begin_lives, enter_segments
from workbench.tiering.ssd_tier.segment_header import Use
from workbench.tiering.ssd_tier.segments import State
from workbench.tiering.ssd_tier.snapshot_file import find_snapshot, publish, remove_leftovers
from workbench.tiering.ssd_tier.strays import Stray

N_SEGMENTS = 6


def up(disk, *rules, n_blocks=10, faults=None):
    """Return a core with segments on the disk and blocks in its index; rules begin after that."""
    faults = faults or Faults(seed=1)
    core = bare_core(disk, faults=faults)
    enter_segments(core, {})
    assert begin_lives(core, core.table.segments, Use.FREE, core.deadline(1.0)) is None
    fill(core, n_blocks)
    for rule in rules:
        faults.add(rule)
    return core


def fill(core, n_blocks, since=0):
    for n in range(since, since + n_blocks):
        core.index.put(key_of(n), entry_of(n + 1, n % N_SEGMENTS, 1 + n))


def keys_of(snapshot):
    """Return the keys that a snapshot speaks of; None if there is none."""
    if snapshot is None:
        return None
    index = Index(1000, N_SEGMENTS)
    index.load(snapshot.blocks)
    index.check()
    return sorted(index.keys())


def found_on(disk):
    return keys_of(find_snapshot(bare_core(disk)))


def keys(n):
    return [key_of(i) for i in range(n)]


def test_what_was_published_is_found():
    disk = new_disk()
    core = up(disk)
    core.durable_sequence = 7
    assert publish(core, core.deadline(1.0))
    other = bare_core(disk)
    snapshot = find_snapshot(other)
    assert keys_of(snapshot) == keys(10)
    assert snapshot.header.store == core.store
    assert snapshot.header.next_sequence == core.next_sequence
    assert snapshot.header.durable_sequence == core.durable_sequence
    epochs = [segment.epoch for segment in core.table.segments]
    assert snapshot.segments["epoch"].tolist() == epochs
    size = disk.size(SNAPSHOT)
    assert size == snapshot_bytes(N_SEGMENTS, 10) == core.snapshot_bytes == other.snapshot_bytes


def test_nothing_is_found_where_nothing_was_published():
    assert find_snapshot(bare_core(new_disk())) is None


def test_publishing_counts_and_leaves_no_temporary_file():
    disk = new_disk()
    core = up(disk)
    core.filled_segments = 5
    assert publish(core, core.deadline(1.0))
    assert publish(core, core.deadline(1.0))
    counts = core.counters.read()
    assert (counts.snapshots, counts.snapshots_failed) == (2, 0)
    assert core.filled_segments == 0
    assert SNAPSHOT_TEMP not in disk.names()


def test_an_empty_store_has_a_snapshot_too():
    disk = new_disk()
    core = up(disk, n_blocks=0)
    assert publish(core, core.deadline(1.0))
    assert found_on(disk) == []


def test_a_published_snapshot_survives_every_power_loss():
    disk = new_disk()
    core = up(disk)
    assert publish(core, core.deadline(1.0))
    for image in disk.crash_images(np.random.default_rng(1), 50, since=disk.position):
        assert found_on(image) == keys(10)


def test_a_crash_while_publishing_leaves_the_old_snapshot_or_the_new_one():
    disk = new_disk()
    core = up(disk)
    assert publish(core, core.deadline(1.0))
    since = disk.position
    fill(core, 20, since=10)
    assert publish(core, core.deadline(1.0))
    seen = set()
    for image in disk.crash_images(np.random.default_rng(2), 300, since=since):
        found = found_on(image)
        assert found in (keys(10), keys(30))
        seen.add(len(found))
    assert seen == {10, 30}


@pytest.mark.parametrize(
    "rule",
    [
        Fault("error", "create", nth=1, number=errno.ENOSPC),
        Fault("error", "open", name=SNAPSHOT_TEMP, nth=1),
        Fault("error", "write", name=SNAPSHOT_TEMP, nth=1),
        Fault("short", "write", name=SNAPSHOT_TEMP, nth=1),
        Fault("hang", "write", name=SNAPSHOT_TEMP, nth=1),
        Fault("error", "sync", name=SNAPSHOT_TEMP, nth=1),
        Fault("hang", "sync", name=SNAPSHOT_TEMP, nth=1),
        Fault("error", "replace", nth=1),
    ],
    ids=lambda rule: f"{rule.kind}-{rule.op}",
)
def test_a_step_that_fails_leaves_the_old_snapshot_and_the_next_try_works(rule):
    disk = new_disk()
    faults = Faults()
    core = up(disk, faults=faults)
    assert publish(core, core.deadline(1.0))
    faults.add(rule)
    fill(core, 20, since=10)
    core.filled_segments = 5
    assert not publish(core, core.deadline(1.0))
    counts = core.counters.read()
    assert (counts.snapshots, counts.snapshots_failed) == (1, 1)
    assert core.filled_segments == 5
    assert core.snapshot_bytes == disk.size(SNAPSHOT)
    assert found_on(disk.reopened()) == keys(10)
    assert publish(core, core.deadline(1.0))
    assert found_on(disk.reopened()) == keys(30)
    assert SNAPSHOT_TEMP not in disk.names()


def test_a_folder_sync_that_fails_is_no_success():
    disk = new_disk()
    faults = Faults()
    core = up(disk, faults=faults)
    assert publish(core, core.deadline(1.0))
    faults.add(Fault("error", "sync_folder", nth=1))
    fill(core, 20, since=10)
    assert not publish(core, core.deadline(1.0))
    assert core.counters.read().snapshots_failed == 1
    assert found_on(disk.reopened()) in (keys(10), keys(30))


def test_a_leftover_that_cannot_be_removed_is_no_success():
    disk = new_disk()
    core = up(disk, Fault("error", "remove", nth=1))
    disk.create(SNAPSHOT_TEMP, 100)
    assert not publish(core, core.deadline(1.0))
    assert SNAPSHOT not in disk.names()


def test_data_whose_flush_failed_is_not_spoken_of():
    disk = new_disk()
    core = up(disk, Fault("error", "sync", nth=1))
    segment = core.table[0]
    segment.state, segment.end_page = State.OPEN, 9
    core.table.open = segment
    assert not publish(core, core.deadline(1.0))
    assert SNAPSHOT not in disk.names()
    assert core.counters.read().snapshots_failed == 1


def test_every_changed_byte_is_a_missing_snapshot_and_never_a_wrong_one():
    disk = new_disk()
    core = up(disk, n_blocks=3)
    assert publish(core, core.deadline(1.0))
    whole = disk.content(SNAPSHOT)
    for at in [*range(256), *range(PAGE_BYTES, len(whole), 7)]:
        disk.rot(SNAPSHOT, at, bytes([whole[at] ^ 0x01]))
        assert found_on(disk) is None, at
        disk.rot(SNAPSHOT, at, whole[at : at + 1])
    assert found_on(disk) == keys(3)


@pytest.mark.parametrize("at", [256, 1000, PAGE_BYTES - 1])
def test_bytes_behind_the_header_mean_nothing(at):
    disk = new_disk()
    core = up(disk, n_blocks=3)
    assert publish(core, core.deadline(1.0))
    disk.rot(SNAPSHOT, at, b"\xff")
    assert found_on(disk) == keys(3)


def test_a_cut_snapshot_is_a_missing_one():
    disk = new_disk()
    core = up(disk)
    assert publish(core, core.deadline(1.0))
    n_bytes = disk.size(SNAPSHOT)
    for cut in range(n_bytes - 512, -1, -512):
        disk.truncate(SNAPSHOT, cut)
        assert found_on(disk) is None


def test_a_snapshot_with_more_behind_it_is_a_missing_one():
    disk = new_disk()
    core = up(disk)
    assert publish(core, core.deadline(1.0))
    disk.rot(SNAPSHOT, disk.size(SNAPSHOT), bytes(PAGE_BYTES))
    assert found_on(disk) is None


@pytest.mark.parametrize(
    "rule",
    [
        Fault("error", "open", name=SNAPSHOT, nth=1),
        Fault("error", "read", name=SNAPSHOT, nth=1),
        Fault("error", "read", name=SNAPSHOT, nth=2),
        Fault("short", "read", name=SNAPSHOT, nth=2),
        Fault("hang", "read", name=SNAPSHOT, nth=1),
        Fault("flip", "read", name=SNAPSHOT, nth=2),
        Fault("misdirect", "read", name=SNAPSHOT, nth=1),
    ],
    ids=lambda rule: f"{rule.kind}-{rule.op}-{rule.nth}",
)
def test_what_cannot_be_read_is_a_missing_snapshot(rule):
    disk = new_disk()
    core = up(disk)
    assert publish(core, core.deadline(1.0))
    assert find_snapshot(bare_core(disk, rule)) is None
    assert found_on(disk) == keys(10)


def test_another_version_is_refused_and_left_as_it_is():
    disk = new_disk()
    core = up(disk)
    assert publish(core, core.deadline(1.0))
    raw = bytearray(disk.content(SNAPSHOT)[:256])
    raw[8] = 2
    raw[248:] = xxhash.xxh3_64_intdigest(raw[:248]).to_bytes(8, "little")
    disk.rot(SNAPSHOT, 0, bytes(raw))
    before, position = disk.content(SNAPSHOT), disk.position
    with pytest.raises(StoreVersionError, match="index: format version 2"):
        find_snapshot(bare_core(disk))
    assert disk.content(SNAPSHOT) == before
    assert disk.position == position


def test_segments_with_uncertain_blocks_are_to_be_scanned():
    disk = new_disk()
    core = up(disk)
    core.strays.set_aside(key_of(99), entry_of(99, segment=2))
    assert publish(core, core.deadline(1.0))
    epochs = find_snapshot(bare_core(disk)).segments["epoch"].tolist()
    assert [n for n, epoch in enumerate(epochs) if epoch == 0] == [2]


def test_all_segments_are_when_a_frame_could_not_be_marked_dead():
    disk = new_disk()
    core = up(disk)
    core.strays.condemn(Stray(key_of(0), 3, 5, 1, 1, 100, stuck=True))
    fill(core, 1)
    core.index.put(key_of(0), entry_of(50))
    assert publish(core, core.deadline(1.0))
    assert not find_snapshot(bare_core(disk)).segments["epoch"].any()


def test_a_bad_segment_s_blocks_are_still_to_be_found():
    disk = new_disk()
    core = up(disk)
    core.table[1].state = State.BAD
    assert publish(core, core.deadline(1.0))
    states = find_snapshot(bare_core(disk)).segments["state"].tolist()
    assert states[1] == State.SEALED


def test_leftovers_are_removed_and_the_snapshot_is_not():
    disk = new_disk()
    core = up(disk)
    assert publish(core, core.deadline(1.0))
    disk.create(SNAPSHOT_TEMP, 5000)
    remove_leftovers(bare_core(disk))
    assert SNAPSHOT_TEMP not in disk.names()
    assert found_on(disk) == keys(10)
    remove_leftovers(bare_core(disk))


def test_a_leftover_that_stays_is_no_reason_to_stop():
    disk = new_disk()
    disk.create(SNAPSHOT_TEMP, 5000)
    remove_leftovers(bare_core(disk, Fault("error", "remove", nth=1)))
    assert SNAPSHOT_TEMP in disk.names()


def test_a_snapshot_of_more_than_one_piece_comes_back():
    disk = new_disk()
    config = replace(SMALL, capacity_bytes=SMALL.capacity_bytes + (4 << 20), max_blocks=16000)
    config = replace(config, segment_bytes=64 * PAGE_BYTES)
    core = bare_core(disk, config=config)
    enter_segments(core, {})
    assert begin_lives(core, core.table.segments, Use.FREE, core.deadline(1.0)) is None
    for n in range(15000):
        core.index.put(key_of(n), entry_of(n + 1, 0, 1))
    assert publish(core, core.deadline(1.0))
    assert disk.size(SNAPSHOT) > 1 << 20
    snapshot = find_snapshot(bare_core(disk, config=config))
    assert snapshot.blocks.tobytes() == core.index.dump().tobytes()
