"""SimDisk conforms as an engine and as a folder, and its crash images are legal and complete."""

import numpy as np
import pytest

from tests.contracts.engine_contract import Bench, EngineContract
from tests.contracts.folder_contract import FolderContract
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.crash_states import SECTOR_BYTES
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.sim_disk import SimDisk


class SimBench(Bench):
    def make(self, name, content):
        self.engine.create(name, len(content))
        self.engine.rot(name, 0, content)
        return self.engine.path(name)

    def content(self, name):
        return self.engine.content(name)


class SimContract(EngineContract):
    @pytest.fixture
    def bench(self):
        disk = SimDisk(direct=self.direct)
        return SimBench(disk, disk.path("x").parent)


class TestDirect(SimContract):
    pass


class TestBuffered(SimContract):
    direct = False


class TestFolder(FolderContract):
    @pytest.fixture
    def folder(self):
        return SimDisk()

    def content(self, folder, name):
        return folder.content(name)


def page(mark: int) -> memoryview:
    buffer = aligned_buffer(PAGE_BYTES)
    buffer[:] = bytes([mark]) * PAGE_BYTES
    return buffer


def write(disk: SimDisk, file: int, number: int, mark: int) -> None:
    check_all(disk.submit([Request("write", file, number * PAGE_BYTES, page(mark))]))


def sync(disk: SimDisk, file: int) -> None:
    check_all(disk.submit([Request("sync", file)]))


@pytest.fixture
def disk():
    """Return a disk with a durable file of four pages of zeros, open as handle 1."""
    disk = SimDisk()
    disk.create("f", 4 * PAGE_BYTES)
    disk.sync()
    disk.open(disk.path("f"))
    return disk


def test_synced_writes_are_in_every_image_and_unsynced_ones_in_some(disk):
    write(disk, 1, 0, 7)
    sync(disk, 1)
    at = disk.position
    write(disk, 1, 1, 8)
    seen = set()
    for image in disk.crash_images(np.random.default_rng(0), 200, since=at):
        content = image.content("f")
        assert content[:PAGE_BYTES] == bytes([7]) * PAGE_BYTES
        seen.add(content[PAGE_BYTES : 2 * PAGE_BYTES].count(8))
    assert {0, PAGE_BYTES} < seen
    assert all(count % SECTOR_BYTES == 0 for count in seen)


def test_a_sync_covers_no_write_of_its_own_batch(disk):
    check_all(disk.submit([Request("write", 1, 0, page(7)), Request("sync", 1)]))
    at = disk.position
    images = disk.crash_images(np.random.default_rng(0), 100, since=at)
    assert {image.content("f")[0] for image in images} == {0, 7}


def test_a_sync_of_one_file_says_nothing_about_another(disk):
    disk.create("g", PAGE_BYTES)
    disk.sync()
    other = disk.open(disk.path("g"))
    write(disk, other, 0, 9)
    write(disk, 1, 0, 7)
    sync(disk, 1)
    images = list(disk.crash_images(np.random.default_rng(0), 100, since=disk.position))
    assert {image.content("f")[0] for image in images} == {7}
    assert {image.content("g")[0] for image in images} == {0, 9}


def test_images_tell_how_they_came_about_and_the_seed_repeats_them(disk):
    for number in range(4):
        write(disk, 1, number, number + 1)
    first, again = (
        [
            (image.origin, image.content("f"))
            for image in disk.crash_images(np.random.default_rng(5), 50, since=2)
        ]
        for _ in range(2)
    )
    assert first == again
    positions = [origin.position for origin, _ in first]
    assert positions == sorted(positions)
    assert set(positions) == {2, 3, 4, 5, 6}
    for origin, content in first:
        for number in range(4):
            at = number + 2
            there = content[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]
            if at >= origin.position or at in origin.lost:
                assert not any(there)
            elif at in origin.torn:
                assert there.count(number + 1) < PAGE_BYTES
            else:
                assert there == bytes([number + 1]) * PAGE_BYTES


def test_every_subset_and_every_tear_is_enumerated(disk):
    start = disk.position
    write(disk, 1, 0, 1)
    write(disk, 1, 2, 2)
    contents = {
        image.content("f")
        for image in disk.all_crash_images(np.random.default_rng(0))
        if image.origin.position > start and "f" in image.names()
    }
    heads = {(content[0], content[2 * PAGE_BYTES]) for content in contents}
    assert {(0, 0), (0, 2), (1, 0), (1, 2)} <= heads
    # 4 subsets; 7 cuts of either write from either side, the other there or not.
    assert len(contents) == 4 + 7 * 2 * 2 * 2


def test_long_epochs_are_sampled(disk):
    for number in range(12):
        write(disk, 1, number % 4, number + 1)
    images = disk.all_crash_images(np.random.default_rng(0), limit=10, samples=30)
    assert 30 < sum(1 for _ in images) < 12 * 7 * 4 + 30 + 20


def test_names_change_whole_and_in_any_subset():
    disk = SimDisk()
    disk.create("index", PAGE_BYTES)
    file = disk.open(disk.path("index"))
    write(disk, file, 0, 1)
    sync(disk, file)
    disk.sync()
    at = disk.position
    disk.create("index.new", PAGE_BYTES)
    new = disk.open(disk.path("index.new"))
    write(disk, new, 0, 2)
    sync(disk, new)
    disk.replace("index.new", "index")
    before = disk.position
    seen = set()
    for image in disk.crash_images(np.random.default_rng(1), 300, since=at):
        names = tuple(image.names())
        assert "index" in names
        mark = image.content("index")[0]
        assert mark in (1, 2)
        if mark == 2:
            # The name moved in one step: the new bytes are never under both names.
            assert names == ("index",)
        seen.add((names, mark))
    assert seen == {(("index",), 1), (("index", "index.new"), 1), (("index",), 2)}
    disk.sync()
    for image in disk.crash_images(np.random.default_rng(2), 50, since=before + 1):
        assert (image.names(), image.content("index")[0]) == (["index"], 2)


def test_a_removal_is_undone_by_a_crash_until_the_folder_is_synced(disk):
    write(disk, 1, 0, 7)
    sync(disk, 1)
    disk.remove("f")
    at = disk.position
    images = [image.names() for image in disk.crash_images(np.random.default_rng(0), 60, at)]
    assert sorted(map(tuple, {tuple(names) for names in images})) == [(), ("f",)]
    disk.sync()
    for image in disk.crash_images(np.random.default_rng(0), 20, disk.position):
        assert image.names() == []


def test_only_a_creation_under_way_leaves_a_short_file():
    disk = SimDisk()
    disk.create("segment", 8 * PAGE_BYTES)
    during = disk.position
    file = disk.open(disk.path("segment"))
    write(disk, file, 0, 1)
    sizes = {position: set() for position in range(during + 2)}
    for image in disk.crash_images(np.random.default_rng(0), 400):
        if "segment" in image.names():
            sizes[image.origin.position].add(image.size("segment"))
    assert sizes[0] == set()
    assert len(sizes[during]) > 5
    assert sizes[during + 1] == {8 * PAGE_BYTES}


def test_images_are_disks_of_their_own_that_can_crash_again(disk):
    write(disk, 1, 0, 7)
    image = next(iter(disk.crash_images(np.random.default_rng(0), 1, since=disk.position)))
    file = image.open(image.path("f"))
    write(image, file, 3, 9)
    sync(image, file)
    assert disk.content("f")[3 * PAGE_BYTES] == 0
    for second in image.crash_images(np.random.default_rng(0), 20, since=image.position):
        assert second.content("f")[3 * PAGE_BYTES] == 9


def test_a_killed_process_loses_nothing_that_was_written(disk):
    write(disk, 1, 0, 7)
    disk.create("unsynced", 3)
    disk.close()
    again = disk.reopened()
    assert again.names() == ["f", "unsynced"]
    assert again.content("f")[:PAGE_BYTES] == bytes([7]) * PAGE_BYTES
    again.open(again.path("f"))


def test_rot_and_cuts_are_durable_and_unannounced(disk):
    disk.rot("f", 10, b"rot")
    disk.truncate("f", PAGE_BYTES + 1)
    for image in [*disk.crash_images(np.random.default_rng(0), 5, disk.position), disk.reopened()]:
        content = image.content("f")
        assert len(content) == PAGE_BYTES + 1
        assert content[10:13] == b"rot"


def test_an_open_file_outlives_its_name(disk):
    disk.create("other", 4 * PAGE_BYTES)
    disk.replace("other", "f")
    write(disk, 1, 0, 7)
    assert disk.content("f")[0] == 0
    block = aligned_buffer(PAGE_BYTES)
    check_all(disk.submit([Request("read", 1, 0, block)]))
    assert block[0] == 7


def test_a_full_disk_says_so():
    disk = SimDisk(capacity_bytes=2 * PAGE_BYTES)
    disk.create("a", PAGE_BYTES)
    with pytest.raises(StorageError, match="b: cannot be created: No space left"):
        disk.create("b", 2 * PAGE_BYTES)
    disk.remove("a")
    disk.create("b", 2 * PAGE_BYTES)


def test_time_is_the_clocks():
    clock = VirtualClock()
    disk = SimDisk(clock=clock)
    disk.create("f", PAGE_BYTES)
    file = disk.open(disk.path("f"))
    (done,) = disk.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))])
    assert (done.took_ns, done.error) == (0, None)
    (late,) = disk.submit([Request("sync", file)], deadline_s=0)
    assert isinstance(late.error, DeadlineError)
