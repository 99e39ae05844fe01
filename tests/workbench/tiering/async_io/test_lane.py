"""A lane is an engine like any other, and closes nothing but its own files."""

import pytest

from tests.contracts.engine_contract import EngineContract
from tests.workbench.tiering.async_io.watched import disk_with, read
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import StorageError, check_all
from workbench.tiering.async_io.lane import Lane
from workbench.tiering.async_io.read_ahead import ReadAhead
from workbench.tiering.async_io.scheduler import Scheduler
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.async_io.threads import ThreadEngine
from workbench.tiering.async_io.ticket import Priority


class OwningLane(Lane):
    """A lane that takes everything below with it, as the suite wants of an engine."""

    def __init__(self, engine, priority, **options):
        self.engine = engine
        self.scheduler = Scheduler(engine, depth=8, **options)
        super().__init__(self.scheduler, priority)

    def close(self):
        super().close()
        self.scheduler.close()
        self.engine.close()


class TestDemand(EngineContract):
    tells = False

    def open_engine(self):
        return OwningLane(SynchronousEngine(), Priority.DEMAND, merge=False)


class TestDemandOnThreadsWithReadAhead(EngineContract):
    tells = False

    def open_engine(self):
        return OwningLane(ThreadEngine(depth=4), Priority.DEMAND, read_ahead=ReadAhead())


class TestWriteBack(EngineContract):
    tells = False

    def open_engine(self):
        return OwningLane(SynchronousEngine(), Priority.WRITE_BACK, merge=False)


def test_closing_a_lane_closes_its_own_files_only():
    disk, content = disk_with(4)
    scheduler = Scheduler(disk, depth=8)
    one, other = Lane(scheduler), Lane(scheduler, Priority.PREFETCH)
    files = [lane.open(disk.path("f")) for lane in (one, other)]
    one.close()
    one.close()
    with pytest.raises(StorageError, match="closed"):
        one.submit([read(files[0], 0, aligned_buffer(4096))])
    with pytest.raises(StorageError, match="closed"):
        one.open(disk.path("f"))
    (gone,) = scheduler.submit([read(files[0], 0, aligned_buffer(4096))])
    assert "not open" in str(gone.error)
    batch = [read(files[1], 1, aligned_buffer(4096))]
    check_all(other.submit(batch))
    assert batch[0].buffer == content[4096:8192]
    assert other.stats().reads == 1
    other.forget(files[1])
    scheduler.close()
