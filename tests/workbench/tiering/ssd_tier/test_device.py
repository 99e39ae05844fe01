"""Whatever the device does comes back as an answer, and is counted once."""

from __future__ import annotations

import errno

import pytest

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES, DeadlineError, Request, StorageError
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier.counters import Counters, Counts
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.device import Device, first_error


class Bench:
    """A device over one file of eight pages, with faults."""

    def __init__(self, *rules: Fault) -> None:
        self.clock = VirtualClock()
        self.disk = SimDisk(clock=self.clock)
        self.disk.create("file", 8 * PAGE_BYTES)
        self.faults = Faults(rules, 1)
        self.counters = Counters()
        engine = FaultIO(self.disk, self.faults, self.clock)
        self.device = Device(engine, FaultFolder(self.disk, self.faults), self.counters)
        self.file = self.device.open("file")
        self.buffer = aligned_buffer(PAGE_BYTES)

    def request(self, op: str, page: int = 0) -> Request:
        buffer = memoryview(b"") if op == "sync" else self.buffer
        return Request(op, self.file, page * PAGE_BYTES, buffer)  # type: ignore[arg-type]

    def submit(self, *ops: str) -> list[StorageError | None]:
        batch = [self.request(op, page) for page, op in enumerate(ops)]
        return self.device.submit(batch, Deadline(self.clock, 1.0))


def test_a_good_batch_has_no_errors_and_counts_what_was_written() -> None:
    bench = Bench()
    assert bench.submit("write", "read", "write") == [None] * 3
    assert bench.counters.read() == Counts(written_bytes=2 * PAGE_BYTES)


def test_an_empty_batch_does_not_reach_the_engine() -> None:
    bench = Bench()
    bench.device.engine.close()
    assert bench.submit() == []
    assert bench.counters.read() == Counts()


@pytest.mark.parametrize("op", ["read", "write", "sync"])
def test_an_error_is_counted_by_what_failed(op: str) -> None:
    bench = Bench(Fault("error", op, nth=1, number=errno.EIO))  # type: ignore[arg-type]
    (error,) = bench.submit(op)
    assert "Input/output error" in str(error)
    assert bench.counters.read() == Counts(**{f"{op}_errors": 1})
    assert bench.submit(op) == [None]


def test_only_the_failed_request_of_a_batch_has_an_error() -> None:
    bench = Bench(Fault("error", "write", nth=2))
    first, second, third = bench.submit("write", "write", "write")
    assert first is None
    assert third is None
    assert second is not None
    assert bench.counters.read() == Counts(write_errors=1, written_bytes=2 * PAGE_BYTES)


def test_a_hung_request_ends_at_the_deadline_and_counts_as_late() -> None:
    bench = Bench(Fault("hang", "read", nth=1))
    (error,) = bench.submit("read")
    assert isinstance(error, DeadlineError)
    assert bench.clock.now_ns() == 1_000_000_000
    assert bench.counters.read() == Counts(read_errors=1, late_requests=1)


def test_no_time_left_is_an_error_and_nothing_is_written() -> None:
    bench = Bench()
    bench.buffer[:] = b"x" * PAGE_BYTES
    errors = bench.device.submit([bench.request("write")], Deadline(bench.clock, 0.0))
    assert isinstance(errors[0], DeadlineError)
    assert not any(bench.disk.content("file"))


def test_an_engine_that_refuses_the_batch_is_an_error_for_each_request() -> None:
    bench = Bench()
    bench.device.engine.close()
    errors = bench.submit("read", "write", "sync")
    assert all("refused the batch" in str(error) for error in errors)
    assert bench.counters.read() == Counts(read_errors=1, write_errors=1, sync_errors=1)


def test_sync_syncs_each_file_once_and_tells_which_failed() -> None:
    bench = Bench()
    bench.disk.create("other", PAGE_BYTES)
    other = bench.device.open("other")
    bench.faults.add(Fault("error", "sync", name="other", nth=1))
    good, bad = bench.device.sync([bench.file, other], Deadline(bench.clock, 1.0))
    assert good is None
    assert bad is not None
    assert bench.faults.calls["sync"] == 2


def test_a_file_that_cannot_be_opened_is_an_exception_and_counted() -> None:
    bench = Bench()
    with pytest.raises(StorageError, match="missing"):
        bench.device.open("missing")
    assert bench.counters.read() == Counts(folder_errors=1)


def test_a_file_opened_for_reading_cannot_be_written() -> None:
    bench = Bench()
    bench.file = bench.device.open("file", writable=False)
    (error,) = bench.submit("write")
    assert error is not None
    assert bench.submit("read") == [None]


def test_a_step_on_the_folder_tells_what_went_wrong() -> None:
    bench = Bench(Fault("error", "create", nth=1, number=errno.ENOSPC))
    folder = bench.device.folder
    error = bench.device.change(lambda: folder.create("new", PAGE_BYTES))
    assert "No space left" in str(error)
    assert bench.device.change(lambda: folder.create("new", PAGE_BYTES)) is None
    assert bench.disk.size("new") == PAGE_BYTES
    assert bench.counters.read() == Counts(folder_errors=1)


def test_the_first_error_is_the_first() -> None:
    one, two = StorageError("one"), StorageError("two")
    assert first_error([None, one, two]) is one
    assert first_error([None]) is None
    assert first_error([]) is None
