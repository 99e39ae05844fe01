"""The thread engine conforms; threads that hang are counted, bounded, replaced and let go."""

import gc
import os
import threading
import weakref

import numpy as np
import pytest

from tests.contracts.engine_contract import RealEngineContract
from workbench.tiering.async_io import threads
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.threads import ThreadEngine


class TestDirect(RealEngineContract):
    def open_engine(self):
        return ThreadEngine(depth=8)


class TestBuffered(RealEngineContract):
    direct = False

    def open_engine(self):
        return ThreadEngine(depth=3, direct=False)


@pytest.fixture
def path(disk_folder):
    path = disk_folder / "blocks"
    path.write_bytes(b"x" * 64 * PAGE_BYTES)
    return path


@pytest.fixture
def device(monkeypatch):
    """Let requests at offset 0 hang until the event is set, as a device that stopped answering."""
    real, answering = threads.carry_out, threading.Event()

    def hang_at_zero(request, file, table):
        if request.offset == 0:
            answering.wait(60)
        return real(request, file, table)

    monkeypatch.setattr(threads, "carry_out", hang_at_zero)
    yield answering
    answering.set()


def wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("never came true")


def test_a_hung_request_misses_its_deadline_alone(path, device):
    engine = ThreadEngine(depth=2)
    file = engine.open(path)
    buffers = [aligned_buffer(PAGE_BYTES) for _ in range(10)]
    done = engine.submit(
        [Request("read", file, i * PAGE_BYTES, buffer) for i, buffer in enumerate(buffers)],
        deadline_s=0.3,
    )
    assert isinstance(done[0].error, DeadlineError)
    assert "had no answer within 0.3 s" in str(done[0].error)
    check_all(done[1:])
    stats = engine.stats()
    assert (stats.pinned_buffers, stats.deadlines_missed, stats.stale_completions) == (1, 1, 0)
    assert not any(buffers[0])
    device.set()
    wait_for(lambda: engine.stats().pinned_buffers == 0)
    assert engine.stats().stale_completions == 1
    assert set(buffers[0]) == {ord("x")}
    engine.close()


def test_the_engine_keeps_the_buffer_of_a_hung_request(path, device):
    engine = ThreadEngine(depth=2)
    file = engine.open(path)
    owner = np.frombuffer(aligned_buffer(PAGE_BYTES), np.uint8)
    gone = weakref.ref(owner)
    engine.submit([Request("read", file, 0, memoryview(owner))], deadline_s=0.05)
    del owner
    gc.collect()
    assert gone() is not None
    device.set()
    wait_for(lambda: engine.stats().pinned_buffers == 0)
    wait_for(lambda: gc.collect() >= 0 and gone() is None)
    engine.close()


def test_hung_threads_are_replaced_within_bounds_and_leave_when_they_wake(path, device):
    engine = ThreadEngine(depth=2)
    file = engine.open(path)
    for hung in range(1, 5):
        engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))], deadline_s=0.05)
        assert engine.stats().pinned_buffers == hung
    assert len(engine._workers) == 4
    # All four hang: nothing can be begun, and nothing waits beyond its deadline.
    (done,) = engine.submit(
        [Request("read", file, PAGE_BYTES, aligned_buffer(PAGE_BYTES))], deadline_s=0.05
    )
    assert "was not begun" in str(done.error)
    device.set()
    wait_for(lambda: engine.stats().pinned_buffers == 0)
    wait_for(lambda: len(engine._workers) == 2)
    check_all(engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))]))
    engine.close()


def test_closing_does_not_wait_for_what_hangs(path, device):
    engine = ThreadEngine(depth=2)
    file = engine.open(path)
    fd = engine.fileno(file)
    engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))], deadline_s=0.05)
    engine.close()
    # Its descriptor stays until the call is back: nobody else's file may get that number.
    os.fstat(fd)
    device.set()
    wait_for(lambda: not os.path.exists(f"/dev/fd/{fd}"))


def test_threads_end_with_the_engine(path):
    engine = ThreadEngine(depth=4)
    file = engine.open(path)
    batch = [Request("read", file, 0, aligned_buffer(PAGE_BYTES)) for _ in range(8)]
    check_all(engine.submit(batch))
    workers = list(engine._workers)
    assert len(workers) == 4
    engine.close()
    assert not any(worker.is_alive() for worker in workers)


def test_no_more_threads_than_blocks_or_than_help(path):
    with ThreadEngine(depth=1000) as engine:
        file = engine.open(path)
        check_all(engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))]))
        assert len(engine._workers) == 1
        batch = [Request("read", file, 0, aligned_buffer(PAGE_BYTES)) for _ in range(200)]
        check_all(engine.submit(batch))
        assert len(engine._workers) == threads.MOST_THREADS


def test_a_depth_of_nothing_is_refused():
    with pytest.raises(StorageError, match="depth of 0"):
        ThreadEngine(depth=0)


def test_a_child_is_told_to_open_its_own(path):
    with ThreadEngine() as engine:
        file = engine.open(path)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))])
            except StorageError as error:
                status = 0 if "before a fork" in str(error) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        check_all(engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))]))
