"""FaultIO without faults is the engine it wraps; each fault does exactly its damage."""

import errno
import os
import threading
import time

import numpy as np
import pytest

from tests.contracts.engine_contract import Bench, EngineContract
from tests.contracts.folder_contract import FolderContract
from workbench.tiering.async_io.buffers import aligned_buffer, fill_random, split
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    ShortTransferError,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.async_io.synchronous import SynchronousEngine

N_PAGES = 8


class TestWithoutFaults(EngineContract):
    def open_engine(self):
        return FaultIO(SynchronousEngine(), Faults())


class TestFolderWithoutFaults(FolderContract):
    @pytest.fixture
    def disk(self):
        return SimDisk()

    @pytest.fixture
    def folder(self, disk):
        self._disk = disk
        return FaultFolder(disk, Faults())

    def content(self, folder, name):
        return self._disk.content(name)


class Faulty:
    """A file of pages marked 1 to 8 on a simulated disk, behind an engine with these faults."""

    def __init__(self, *rules: Fault, seed: int = 0) -> None:
        self.clock = VirtualClock()
        self.disk = SimDisk(clock=self.clock)
        self.disk.create("f", N_PAGES * PAGE_BYTES)
        self.disk.sync()
        for number in range(N_PAGES):
            self.disk.rot("f", number * PAGE_BYTES, bytes([number + 1]) * PAGE_BYTES)
        self.faults = Faults(rules, seed)
        self.io = FaultIO(self.disk, self.faults, self.clock)
        self.file = self.io.open(self.disk.path("f"))

    def request(self, op: str, number: int, mark: int = 0) -> Request:
        buffer = aligned_buffer(PAGE_BYTES)
        buffer[:] = bytes([mark]) * PAGE_BYTES
        return Request(op, self.file, number * PAGE_BYTES, buffer)  # type: ignore[arg-type]

    def one(self, request: Request, deadline_s: float = 10.0) -> StorageError | None:
        (done,) = self.io.submit([request], deadline_s)
        return done.error

    def page(self, number: int) -> bytes:
        return self.disk.content("f")[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]


@pytest.mark.parametrize("op", ["read", "write", "sync"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_errors_do_nothing_and_say_what_they_are(op, number):
    faulty = Faulty(Fault("error", op=op, nth=2, number=number))
    batch = [faulty.request(op, page, 99) for page in range(3)]
    before = faulty.disk.position
    done = faulty.io.submit(batch)
    assert [one.error is None for one in done] == [True, False, True]
    assert os.strerror(number) in str(done[1].error)
    if op != "read":
        assert faulty.disk.position == before + 2
        assert faulty.page(1) == bytes([2]) * PAGE_BYTES
    stats = faulty.io.stats()
    assert (stats.errors, stats.submitted) == (1, 3)
    assert faulty.faults.injected == {"error": 1}


@pytest.mark.parametrize("sectors", range(8))
def test_short_requests_move_a_part_and_fail(sectors):
    keep = sectors * 512
    faulty = Faulty(Fault("short", chance=1.0, keep_bytes=keep))
    read = faulty.request("read", 2, 99)
    assert isinstance(faulty.one(read), ShortTransferError)
    assert bytes(read.buffer) == bytes([3]) * keep + bytes([99]) * (PAGE_BYTES - keep)
    error = faulty.one(faulty.request("write", 4, 77))
    assert f"after {keep} bytes" in str(error)
    assert faulty.page(4) == bytes([77]) * keep + bytes([5]) * (PAGE_BYTES - keep)


def test_torn_writes_are_acknowledged():
    faulty = Faulty(Fault("torn", nth=1))
    assert faulty.one(faulty.request("write", 0, 9)) is None
    kept = faulty.page(0).count(9)
    assert kept % 512 == 0
    assert kept < PAGE_BYTES
    assert faulty.page(0) == bytes([9]) * kept + bytes([1]) * (PAGE_BYTES - kept)


def test_dropped_writes_and_syncs_are_acknowledged():
    faulty = Faulty(Fault("drop", op="write", nth=1), Fault("drop", op="sync", nth=1))
    assert faulty.one(faulty.request("write", 0, 9)) is None
    assert faulty.page(0) == bytes([1]) * PAGE_BYTES
    assert faulty.one(faulty.request("write", 1, 9)) is None
    at = faulty.disk.position
    assert faulty.one(Request("sync", faulty.file)) is None
    lost = faulty.disk.crash_images(np.random.default_rng(0), 30, since=at)
    assert {image.content("f")[PAGE_BYTES] for image in lost} == {2, 9}


@pytest.mark.parametrize(
    ("page", "shift", "found"), [(2, PAGE_BYTES, 4), (7, None, 7), (3, -8192, 2)]
)
def test_misdirected_requests_move_another_place(page, shift, found):
    faulty = Faulty(Fault("misdirect", chance=1.0, shift_bytes=shift))
    read = faulty.request("read", page)
    assert faulty.one(read) is None
    assert set(read.buffer) == {found}
    if page != 7:  # a misdirected write beyond the end makes the file longer
        assert faulty.one(faulty.request("write", page, 99)) is None
        assert faulty.page(page) == bytes([page + 1]) * PAGE_BYTES
        assert faulty.page(found - 1) == bytes([99]) * PAGE_BYTES


def test_a_flip_is_one_bit_and_never_in_the_writers_buffer():
    faulty = Faulty(Fault("flip", chance=1.0, bit=8 * 100 + 3))
    read = faulty.request("read", 0)
    assert faulty.one(read) is None
    assert read.buffer[100] == 1 ^ 8
    assert bytes(read.buffer).count(1) == PAGE_BYTES - 1
    write = faulty.request("write", 1, 0)
    assert faulty.one(write) is None
    assert not any(write.buffer)
    assert faulty.page(1)[100] == 8
    assert faulty.page(1).count(0) == PAGE_BYTES - 1


def test_a_flip_finds_the_right_one_of_many_buffers():
    faulty = Faulty(Fault("flip", chance=1.0, bit=8 * (PAGE_BYTES + 5)))
    first, second = split(aligned_buffer(2 * PAGE_BYTES), PAGE_BYTES)
    assert faulty.one(Request("read", faulty.file, 0, first, (second,))) is None
    assert set(first) == {1}
    assert second[5] == 2 ^ 1


def test_a_reordered_batch_is_whole_and_in_another_order():
    faulty = Faulty(Fault("reorder", nth=1), seed=4)
    batch = [faulty.request("write", 0, mark) for mark in range(20, 30)]
    done = faulty.io.submit(batch)
    check_all(done)
    assert [one.request for one in done] == batch
    # All ten went to one page, so its content tells that the last one did not come last.
    assert faulty.page(0)[0] in range(20, 29)


def test_delays_pass_on_the_clock_side_by_side():
    faulty = Faulty(Fault("delay", chance=1.0, seconds=2.0))
    check_all(faulty.io.submit([faulty.request("read", page) for page in range(2)], 10.0))
    assert faulty.clock.now_ns() == 4_000_000_000


def test_a_delay_beyond_the_deadline_is_a_late_answer():
    faulty = Faulty(Fault("delay", nth=1, seconds=20.0))
    assert isinstance(faulty.one(faulty.request("write", 0, 9), 5.0), DeadlineError)
    assert faulty.clock.now_ns() == 5_000_000_000
    assert faulty.io.stats().pinned_buffers == 1
    assert faulty.one(faulty.request("read", 1)) is None
    assert faulty.page(0)[0] == 9
    assert faulty.io.stats().stale_completions == 1


@pytest.mark.parametrize("op", ["read", "write", "sync"])
def test_what_hangs_misses_its_deadline_and_keeps_its_buffer(op):
    faulty = Faulty(Fault("hang", op=op, nth=1))
    hung = faulty.request(op, 0, 99)
    before = faulty.disk.position
    assert isinstance(faulty.one(hung, deadline_s=3.0), DeadlineError)
    assert faulty.clock.now_ns() == 3_000_000_000
    stats = faulty.io.stats()
    assert (stats.deadlines_missed, stats.pinned_buffers, stats.stale_completions) == (1, 1, 0)
    assert faulty.disk.position == before
    # Others go on meanwhile.
    assert faulty.one(faulty.request("read", 1)) is None
    assert faulty.io.release() == 1
    stats = faulty.io.stats()
    assert (stats.pinned_buffers, stats.stale_completions) == (0, 1)
    if op == "read":
        assert set(hung.buffer) == {1}
    elif op == "write":
        assert faulty.page(0)[0] == 99
    else:
        assert faulty.disk.position == before + 1
    assert faulty.io.release() == 0


def test_what_is_released_in_time_is_whole(disk_folder):
    path = disk_folder / "f"
    path.write_bytes(b"x" * PAGE_BYTES)
    io = FaultIO(SynchronousEngine(), Faults([Fault("hang", nth=1)]))
    block = aligned_buffer(PAGE_BYTES)
    batch = [Request("read", io.open(path), 0, block)]
    done = []
    waiting = threading.Thread(target=lambda: done.extend(io.submit(batch, 60.0)))
    waiting.start()
    while io.release() == 0:
        time.sleep(0.001)
    waiting.join()
    check_all(done)
    assert set(block) == {ord("x")}
    assert io.stats().stale_completions == 0
    io.close()


def test_a_stale_answer_comes_while_the_next_batch_is_served():
    faulty = Faulty(Fault("stale", nth=1))
    late = faulty.request("read", 0)
    assert isinstance(faulty.one(late, deadline_s=1.0), DeadlineError)
    assert not any(late.buffer)
    assert faulty.one(faulty.request("read", 1)) is None
    assert set(late.buffer) == {1}
    assert faulty.io.stats().stale_completions == 1


def test_a_closed_engine_lets_go_of_what_hangs():
    faulty = Faulty(Fault("hang", nth=1))
    faulty.one(faulty.request("write", 0, 99), deadline_s=1.0)
    faulty.io.close()
    assert faulty.io.release() == 1
    assert faulty.io.stats().pinned_buffers == 0
    assert faulty.page(0)[0] == 1


def test_opening_fails_by_rule():
    faulty = Faulty(Fault("error", op="open", nth=2, number=errno.EMFILE))
    with pytest.raises(StorageError, match="f: Too many open files"):
        faulty.io.open(faulty.disk.path("f"))
    faulty.io.open(faulty.disk.path("f"))


@pytest.mark.parametrize("op", ["create", "replace", "remove", "sync_folder"])
def test_folder_steps_fail_by_rule_and_do_nothing(op):
    disk = SimDisk()
    disk.create("f", 1)
    before = disk.position
    folder = FaultFolder(disk, Faults([Fault("error", op=op, nth=1, number=errno.ENOSPC)]))
    steps = {
        "create": lambda: folder.create("g", 1),
        "replace": lambda: folder.replace("f", "h"),
        "remove": lambda: folder.remove("f"),
        "sync_folder": folder.sync,
    }
    with pytest.raises(StorageError, match="No space left"):
        steps[op]()
    assert disk.position == before
    steps[op]()
    assert disk.position == before + 1


def test_a_folder_sync_can_be_a_lie():
    disk = SimDisk()
    folder = FaultFolder(disk, Faults([Fault("drop", op="sync_folder", nth=1)]))
    folder.create("f", 1)
    folder.sync()
    images = disk.crash_images(np.random.default_rng(0), 30, since=disk.position)
    assert {tuple(image.names()) for image in images} == {(), ("f",)}


def test_a_storm_of_faults_keeps_the_counters_true():
    kinds = ["error", "short", "torn", "drop", "misdirect", "flip", "stale", "delay"]
    rules = [Fault(kind, chance=0.05) for kind in kinds]  # type: ignore[arg-type]
    faulty = Faulty(*rules, seed=7)
    rng = np.random.default_rng(7)
    for _ in range(100):
        batch = []
        for _ in range(5):
            request = faulty.request(str(rng.choice(["read", "write"])), int(rng.integers(7)))
            fill_random(request.buffer, rng)
            batch.append(request)
        faulty.io.submit(batch, 1.0)
    stats = faulty.io.stats()
    injected = faulty.faults.injected
    assert set(injected) == set(kinds)
    assert stats.submitted == 500 == faulty.faults.calls["read"] + faulty.faults.calls["write"]
    assert stats.errors == injected["error"] + injected["short"] + injected["stale"]
    assert stats.deadlines_missed == injected["stale"]
    assert stats.stale_completions + stats.pinned_buffers == injected["stale"]


class TestSimDiskWithoutFaults(EngineContract):
    @pytest.fixture
    def bench(self):
        disk = SimDisk()

        class SimBench(Bench):
            def make(self, name, content):
                disk.create(name, len(content))
                disk.rot(name, 0, content)
                return disk.path(name)

            def content(self, name):
                return disk.content(name)

        return SimBench(FaultIO(disk, Faults()), disk.path("x").parent)
