"""The scheduler is an engine; its parts change what the device sees and nothing else."""

import errno
import os
import threading

import numpy as np
import pytest

from tests.contracts.engine_contract import EngineContract
from tests.workbench.tiering.async_io.rings import wait_for
from workbench.tiering.async_io.buffers import aligned_buffer, split
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    ShortTransferError,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.fault_io import FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.merging import MergeLimits
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.async_io.priority_gate import Priority
from workbench.tiering.async_io.scheduler import Scheduler, SchedulerParts
from workbench.tiering.async_io.synchronous import SynchronousEngine

NOTHING = SchedulerParts(order=False, merge=None, priority=False)


class TestAllParts(EngineContract):
    def open_engine(self):
        return Scheduler(open_engine(depth=8))


class TestNoParts(EngineContract):
    def open_engine(self):
        return Scheduler(open_engine(depth=8), NOTHING)


class TestInTheBackground(EngineContract):
    """Every batch takes the background thread's way."""

    def open_engine(self):
        class Background(Scheduler):
            def submit(self, batch, deadline_s=10.0, priority=Priority.PREFETCH):
                return super().submit(batch, deadline_s, priority)

        return Background(open_engine(depth=8), SchedulerParts(depth=4))


class Watched(SynchronousEngine):
    """Notes the batches it gets; may be held at a barrier."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.gate = threading.Event()
        self.gate.set()

    def submit(self, batch, deadline_s=10.0):
        self.seen.append(
            [(one.op, one.offset // PAGE_BYTES, one.n_bytes // PAGE_BYTES) for one in batch]
        )
        self.gate.wait(60)
        return super().submit(batch, deadline_s)


@pytest.fixture
def path(disk_folder):
    path = disk_folder / "blocks"
    path.write_bytes(np.random.default_rng(0).bytes(64 * PAGE_BYTES))
    return path


def reads(file: int, *pages: int) -> list[Request]:
    return [Request("read", file, page * PAGE_BYTES, aligned_buffer(PAGE_BYTES)) for page in pages]


@pytest.mark.parametrize(
    ("parts", "seen"),
    [
        (NOTHING, [("read", page, 1) for page in (7, 3, 4, 20, 22)]),
        (
            SchedulerParts(merge=None, priority=False),
            [("read", page, 1) for page in (3, 4, 7, 20, 22)],
        ),
        (
            SchedulerParts(merge=MergeLimits(gap_bytes=0), priority=False),
            [("read", 3, 2), ("read", 7, 1), ("read", 20, 1), ("read", 22, 1)],
        ),
        (SchedulerParts(), [("read", 3, 5), ("read", 20, 3)]),
    ],
)
def test_each_part_changes_what_the_device_sees(path, parts, seen):
    engine = Watched()
    with Scheduler(engine, parts) as scheduler:
        batch = reads(scheduler.open(path), 7, 3, 4, 20, 22)
        done = scheduler.submit(batch)
        check_all(done)
        assert [one.request for one in done] == batch
        stats = scheduler.scheduling()
        assert (stats.requests, stats.dispatched) == (5, len(seen))
        assert scheduler.stats().reads == 5
        assert scheduler.stats().read_bytes == 5 * PAGE_BYTES
    assert engine.seen == [seen]
    content = path.read_bytes()
    for request in batch:
        assert request.buffer == content[request.offset : request.offset + PAGE_BYTES]


def test_a_bad_member_does_not_take_its_neighbours_along(path):
    faults = Faults([Fault("error", op="read", nth=1)])
    with Scheduler(FaultIO(SynchronousEngine(), faults)) as scheduler:
        file = scheduler.open(path)
        check_all(scheduler.submit(reads(file, 0, 1, 2)))
        assert scheduler.scheduling().retried == 3
        past_the_end = scheduler.submit(reads(file, 62, 63, 64))
    assert [type(one.error) for one in past_the_end] == [type(None)] * 2 + [ShortTransferError]
    assert past_the_end[0].request.buffer == path.read_bytes()[62 * PAGE_BYTES : 63 * PAGE_BYTES]


def test_members_of_a_late_request_are_late_and_not_tried_again(path):
    io = FaultIO(SynchronousEngine(), Faults([Fault("hang", nth=1)]))
    with Scheduler(io) as scheduler:
        done = scheduler.submit(reads(scheduler.open(path), 0, 1, 2), deadline_s=0.05)
        assert all(isinstance(one.error, DeadlineError) for one in done)
        assert "blocks: read of 4096 bytes at 4096" in str(done[1].error)
        stats = scheduler.stats()
        assert (stats.deadlines_missed, stats.pinned_buffers) == (3, 1)
        assert scheduler.scheduling().retried == 0


def test_demand_overtakes_what_waits_in_the_background(path):
    engine = Watched()
    scheduler = Scheduler(engine, SchedulerParts(depth=2, merge=None))
    file = scheduler.open(path)
    engine.gate.clear()
    write = [
        Request("write", file, page * PAGE_BYTES, aligned_buffer(PAGE_BYTES)) for page in (0, 1, 2)
    ]
    back = scheduler.submit_later(write, Priority.WRITE_BACK)
    wait_for(lambda: len(engine.seen) == 1)
    ahead = scheduler.submit_later(reads(file, 10, 11, 12), Priority.PREFETCH)
    demand = threading.Thread(target=scheduler.submit, args=(reads(file, 20, 21),))
    demand.start()
    wait_for(lambda: len(scheduler._gate._waiting) == 1)
    assert scheduler.scheduling().waiting == 5
    engine.gate.set()
    demand.join()
    check_all([*back.result(60), *ahead.result(60)])
    scheduler.close()
    order = [(op, page) for step in engine.seen for op, page, _ in step]
    assert order[0] == ("write", 0)
    # One step of write-back was under way; then demand, then the prefetch, then the rest.
    assert order[1:] == [("read", page) for page in (20, 21, 10, 11, 12)] + [
        ("write", 1),
        ("write", 2),
    ]


def test_background_batches_are_merged_with_each_other(path):
    engine = Watched()
    scheduler = Scheduler(engine, SchedulerParts(depth=2))
    file = scheduler.open(path)
    engine.gate.clear()
    first = scheduler.submit_later(reads(file, 60), Priority.PREFETCH)
    wait_for(lambda: len(engine.seen) == 1)
    later = [scheduler.submit_later(reads(file, page), Priority.PREFETCH) for page in (3, 5, 4)]
    engine.gate.set()
    for future, page in zip([first, *later], (60, 3, 5, 4), strict=True):
        (done,) = future.result(60)
        assert done.error is None
        assert done.request.buffer == path.read_bytes()[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
    scheduler.close()
    assert engine.seen == [[("read", 60, 1)], [("read", 3, 3)]]


def test_batches_of_other_deadlines_do_not_travel_together(path):
    engine = Watched()
    scheduler = Scheduler(engine, SchedulerParts(depth=4))
    file = scheduler.open(path)
    engine.gate.clear()
    first = scheduler.submit_later(reads(file, 60), Priority.PREFETCH)
    wait_for(lambda: len(engine.seen) == 1)
    patient = scheduler.submit_later(reads(file, 4), Priority.PREFETCH, deadline_s=60.0)
    hasty = scheduler.submit_later(reads(file, 3), Priority.PREFETCH, deadline_s=30.0)
    engine.gate.set()
    for future in (first, patient, hasty):
        check_all(future.result(60))
    scheduler.close()
    # The later deadline came first and took the earlier one along, not the other way round.
    assert engine.seen[1] == [("read", 3, 2)]
    assert len(engine.seen) == 2


def test_no_more_than_the_depth_is_under_way(path):
    most, inside, lock = [0], [0], threading.Lock()

    class Counting(SynchronousEngine):
        def submit(self, batch, deadline_s=10.0):
            with lock:
                inside[0] += min(len(batch), 4)
                most[0] = max(most[0], inside[0])
            done = super().submit(batch, deadline_s)
            with lock:
                inside[0] -= min(len(batch), 4)
            return done

    with Scheduler(Counting(), SchedulerParts(depth=4)) as scheduler:
        file = scheduler.open(path)

        def work(number: int) -> None:
            for turn in range(10):
                pages = np.random.default_rng([number, turn]).permutation(64)[: 1 + number]
                check_all(
                    scheduler.submit(reads(file, *map(int, pages)), priority=Priority(number % 3))
                )

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most[0] <= 4


def test_a_background_deadline_counts_from_the_asking(path):
    engine = Watched()
    scheduler = Scheduler(engine, SchedulerParts(depth=2))
    file = scheduler.open(path)
    engine.gate.clear()
    first = scheduler.submit_later(reads(file, 0), Priority.PREFETCH)
    wait_for(lambda: len(engine.seen) == 1)
    late = scheduler.submit_later(reads(file, 5), Priority.PREFETCH, deadline_s=0.02)
    threading.Event().wait(0.05)
    engine.gate.set()
    check_all(first.result(60))
    assert isinstance(late.result(60)[0].error, DeadlineError)
    scheduler.close()


def test_closing_finishes_what_waits(path):
    scheduler = Scheduler(SynchronousEngine())
    file = scheduler.open(path)
    block = aligned_buffer(PAGE_BYTES)
    block[:] = b"w" * PAGE_BYTES
    futures = [
        scheduler.submit_later(
            [Request("write", file, page * PAGE_BYTES, block)], Priority.WRITE_BACK
        )
        for page in range(20)
    ]
    scheduler.close()
    for future in futures:
        check_all(future.result(0))
    assert path.read_bytes()[: 20 * PAGE_BYTES] == bytes(block) * 20
    with pytest.raises(StorageError, match="closed"):
        scheduler.submit_later(reads(file, 0), Priority.PREFETCH)


def test_nothing_later_is_done_at_once():
    with Scheduler(SynchronousEngine()) as scheduler:
        assert scheduler.submit_later([], Priority.PREFETCH).result(0) == []


def test_a_depth_of_nothing_is_refused():
    with pytest.raises(StorageError, match="depth of 0"):
        SchedulerParts(depth=0)


def test_errors_of_the_engine_reach_those_who_wait(path):
    engine = SynchronousEngine()
    scheduler = Scheduler(engine)
    file = scheduler.open(path)
    engine.close()
    (done,) = scheduler.submit_later(reads(file, 0), Priority.PREFETCH).result(60)
    assert "closed" in str(done.error)
    assert os.strerror(errno.EIO) not in str(done.error)
    scheduler.close()


def test_buffers_of_one_batch_may_be_one_memory(path):
    whole = aligned_buffer(8 * PAGE_BYTES)
    with Scheduler(open_engine(depth=4)) as scheduler:
        file = scheduler.open(path)
        blocks = split(whole, PAGE_BYTES)
        batch = [Request("read", file, page * PAGE_BYTES, blocks[page]) for page in (3, 1, 0, 2)]
        check_all(scheduler.submit(batch))
    assert whole[: 4 * PAGE_BYTES] == path.read_bytes()[: 4 * PAGE_BYTES]
