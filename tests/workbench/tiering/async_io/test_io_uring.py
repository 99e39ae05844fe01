"""The ring engine conforms; late answers, signals, forks and refusals do no harm."""

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from kernels import ring_job
from tests.contracts.engine_contract import Bench, RealEngineContract
from tests.workbench.tiering.async_io.rings import Pipe, refused, wait_for
from workbench.tiering.async_io import io_uring, ring
from workbench.tiering.async_io.buffers import aligned_buffer, split
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.io_uring import UringEngine

pytestmark = pytest.mark.skipif(bool(refused()), reason=f"no io_uring: {refused()}")

POOL = aligned_buffer(1 << 20)


class TestDirect(RealEngineContract):
    def open_engine(self):
        return UringEngine(depth=8)


class TestBuffered(RealEngineContract):
    direct = False

    def open_engine(self):
        return UringEngine(depth=3, direct=False, rings=2)


class TestOneDeep(RealEngineContract):
    def open_engine(self):
        return UringEngine(depth=1, rings=1)


class TestFixedBuffers(RealEngineContract):
    """Every buffer of the suite is its own, so this is about buffers beside registered ones."""

    def open_engine(self):
        return UringEngine(depth=8, fixed=[POOL])


@pytest.fixture
def path(disk_folder):
    path = disk_folder / "blocks"
    path.write_bytes(np.random.default_rng(0).bytes(256 * PAGE_BYTES))
    return path


@pytest.fixture
def engine():
    with UringEngine(depth=4) as engine:
        yield engine


def read_all(engine: UringEngine, path) -> None:
    """Read a file through the engine and compare it with what pread gives."""
    file = engine.open(path)
    buffer = aligned_buffer(256 * PAGE_BYTES)
    blocks = enumerate(split(buffer, PAGE_BYTES))
    check_all(engine.submit([Request("read", file, i * PAGE_BYTES, one) for i, one in blocks]))
    assert buffer == path.read_bytes()
    engine.forget(file)


# Fixed buffers


def test_registered_buffers_are_used_and_hold_what_was_read(path):
    pool = aligned_buffer(64 * PAGE_BYTES)
    with UringEngine(depth=8, fixed=[pool[: 32 * PAGE_BYTES], pool[32 * PAGE_BYTES :]]) as engine:
        file = engine.open(path)
        blocks = split(pool, PAGE_BYTES)
        batch = [Request("read", file, 3 * i * PAGE_BYTES, one) for i, one in enumerate(blocks)]
        jobs = io_uring.RingJobs(batch, engine._files.borrow([file]), engine._registered)
        jobs.convert(len(batch))
        assert set(jobs.table[:, ring_job.WORD] & 0xFF) == {ring_job.READ_FIXED}
        assert jobs.table[:, ring_job.BUFFER].tolist() == [0] * 32 + [1] * 32
        check_all(engine.submit(batch))
        content = path.read_bytes()
        for request in batch:
            assert request.buffer == content[request.offset : request.offset + PAGE_BYTES]
        pool[:] = bytes(64 * PAGE_BYTES)
        check_all(engine.submit([Request("write", file, 0, pool[: 16 * PAGE_BYTES])]))
        assert path.read_bytes() == bytes(16 * PAGE_BYTES) + content[16 * PAGE_BYTES :]
        assert engine.stats().fallback_reason == ""


def test_buffers_that_cannot_be_registered_are_used_all_the_same(path, monkeypatch):
    real = ring.atomics.system_call_twin

    def refuse(number, *arguments):
        return -errno.ENOMEM if number == ring._REGISTER else real(number, *arguments)

    monkeypatch.setattr(ring.atomics, "system_call_twin", refuse)
    with UringEngine(fixed=[POOL]) as engine:
        read_all(engine, path)
        assert "could not be registered: Cannot allocate memory" in engine.stats().fallback_reason
        assert "ulimit -l" in engine.stats().fallback_reason


# Deadlines and late answers


def test_hung_io_hits_its_deadline_and_others_do_not(engine, path):
    """vLLM #54363: no deadline on I/O."""
    pipe, file = Pipe(engine), engine.open(path)
    good = aligned_buffer(PAGE_BYTES)
    batch = [
        Request("read", pipe.file, 0, memoryview(bytearray(4))),
        Request("read", file, PAGE_BYTES, good),
    ]
    start = time.monotonic()
    hung, whole = engine.submit(batch, deadline_s=0.2)
    assert time.monotonic() - start < 5
    assert isinstance(hung.error, DeadlineError)
    assert "pipe: read of 4 bytes at 0 had no answer within 0.2 s" in str(hung.error)
    assert hung.took_ns > 0.1e9
    assert whole.error is None
    assert good == path.read_bytes()[PAGE_BYTES : 2 * PAGE_BYTES]
    stats = engine.stats()
    # A read of a pipe can be cancelled, so nothing is left with the device.
    assert (stats.deadlines_missed, stats.errors, stats.pinned_buffers) == (1, 1, 0)


def test_nothing_behind_a_hung_request_is_told_to_be_whole_and_all_of_it_is(engine, path):
    pipe, file = Pipe(engine), engine.open(path)
    pages = split(aligned_buffer(6 * PAGE_BYTES), PAGE_BYTES)
    batch = [Request("read", file, i * PAGE_BYTES, page) for i, page in enumerate(pages)]
    batch.insert(2, Request("read", pipe.file, 0, memoryview(bytearray(4))))
    told = []
    done = engine.submit(batch, deadline_s=0.2, on_whole=told.append)
    assert told[-1:] == [2]
    assert [isinstance(one.error, DeadlineError) for one in done] == [i == 2 for i in range(7)]
    assert b"".join(pages) == path.read_bytes()[: 6 * PAGE_BYTES]


def test_whoever_is_told_may_raise_and_the_engine_goes_on(engine, path):
    file, pages = engine.open(path), split(aligned_buffer(8 * PAGE_BYTES), PAGE_BYTES)
    batch = [Request("read", file, i * PAGE_BYTES, page) for i, page in enumerate(pages)]

    def refuse(n_whole):
        raise RuntimeError(n_whole)

    with pytest.raises(RuntimeError):
        engine.submit(batch, on_whole=refuse)
    check_all(engine.submit(batch))
    assert engine.stats().pinned_buffers == 0


def test_requests_behind_hung_ones_are_not_begun_and_not_pinned(engine):
    pipe = Pipe(engine)
    batch = [Request("read", pipe.file, 0, memoryview(bytearray(4))) for _ in range(10)]
    done = engine.submit(batch, deadline_s=0.05)
    assert sum("had no answer" in str(one.error) for one in done) == 4
    assert sum("was not begun" in str(one.error) for one in done) == 6
    assert engine.stats().deadlines_missed == 10


@pytest.fixture
def stubborn(monkeypatch):
    """Let no request be cancelled, as those that a disk already works on."""
    monkeypatch.setattr(ring.loops, "cancel", lambda words, slots, free, jobs: None)


def test_stale_completions_touch_their_own_buffer_only(engine, path, stubborn):
    """A late answer comes while its slot's ring serves others; its buffer lives until then."""
    pipe = Pipe(engine)
    owner = np.zeros(4, np.uint8)
    gone, keeper = weakref.ref(owner), []
    (hung,) = engine.submit([Request("read", pipe.file, 0, memoryview(owner))], deadline_s=0.05)
    assert isinstance(hung.error, DeadlineError)
    assert engine.stats().pinned_buffers == 1
    del owner, hung
    gc.collect()
    assert gone() is not None
    read_all(engine, path)
    keeper.append(gone())
    pipe.answer(b"late")
    read_all(engine, path)
    wait_for(lambda: engine.stats().pinned_buffers == 0)
    stats = engine.stats()
    assert stats.stale_completions == 1
    assert stats.submitted == stats.reads + stats.errors == 2 * 256 + 1
    assert bytes(keeper[0]) == b"late"
    keeper.clear()
    gc.collect()
    assert gone() is None


def test_a_ring_full_of_hung_requests_gives_way_to_another(path, stubborn):
    with UringEngine(depth=2, rings=2) as engine:
        pipe = Pipe(engine)
        batch = [Request("read", pipe.file, 0, memoryview(bytearray(4))) for _ in range(2)]
        engine.submit(batch, deadline_s=0.05)
        read_all(engine, path)
        engine.submit(batch, deadline_s=0.05)
        assert engine.stats().pinned_buffers == 4
        # Both rings are full: nothing can be begun, and nothing waits beyond its deadline.
        (done,) = engine.submit(batch[:1], deadline_s=0.05)
        assert "was not begun" in str(done.error)
        assert engine.stats().pinned_buffers == 4
        pipe.answer(b"x" * 16)
        wait_for(lambda: engine.stats().pinned_buffers == 0)
        assert engine.stats().stale_completions == 4
        read_all(engine, path)


def test_closing_waits_for_late_answers(stubborn):
    engine = UringEngine(depth=2)
    pipe = Pipe(engine)
    buffer = bytearray(4)
    engine.submit([Request("read", pipe.file, 0, memoryview(buffer))], deadline_s=0.05)
    threading.Timer(0.05, pipe.answer, [b"last"]).start()
    engine.close()
    assert bytes(buffer) == b"last"
    assert engine.stats().pinned_buffers == 0


def test_closing_waits_at_most_its_deadline_and_keeps_what_the_device_has(stubborn, monkeypatch):
    monkeypatch.setattr(io_uring, "DEFAULT_DEADLINE_S", 0.1)
    engine = UringEngine(depth=2)
    pipe = Pipe(engine)
    owner = np.zeros(4, np.uint8)
    gone = weakref.ref(owner)
    engine.submit([Request("read", pipe.file, 0, memoryview(owner))], deadline_s=0.05)
    kept = len(ring._never_freed)
    engine.close()
    engine.close()
    assert len(ring._never_freed) == kept + 1
    del owner
    gc.collect()
    assert gone() is not None
    pipe.answer(b"late")
    held, owner = ring._never_freed.pop(), gone()
    assert held.close(time.monotonic_ns() + 10**10) == 0
    assert bytes(owner) == b"late"


# Signals, forks, threads


def test_a_signals_handler_may_raise_and_the_engine_goes_on(engine, path):
    class AlarmError(Exception):
        pass

    def ring_the_bell(*_):
        raise AlarmError

    pipe = Pipe(engine)
    before = signal.signal(signal.SIGALRM, ring_the_bell)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(AlarmError):
            engine.submit([Request("read", pipe.file, 0, memoryview(bytearray(4)))], deadline_s=60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert engine.stats().pinned_buffers == 0
    read_all(engine, path)


def test_a_signal_that_is_only_noted_disturbs_nothing(engine, path):
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    pipe = Pipe(engine)
    threading.Timer(0.1, pipe.answer, [b"done"]).start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        check_all(engine.submit([Request("read", pipe.file, 0, memoryview(bytearray(4)))]))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(rang) > 1


def test_a_child_is_told_to_open_its_own_and_harms_nobody(engine, path):
    file = engine.open(path)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))])
        except StorageError as error:
            status = 0 if "before a fork" in str(error) else 2
            engine.stats()
            engine.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    read_all(engine, path)


def test_a_child_can_open_an_engine_of_its_own(engine, path):
    read_all(engine, path)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with UringEngine(depth=2) as own:
                read_all(own, path)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_threads_share_few_rings(path):
    with UringEngine(depth=2, rings=2) as engine:
        threads = [threading.Thread(target=read_all, args=(engine, path)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine._rings._n_rings <= 2
        assert engine.stats().reads == 6 * 256


def test_a_thread_that_finds_no_ring_in_time_is_late(path):
    with UringEngine(depth=2, rings=1) as engine:
        file, pipe = engine.open(path), Pipe(engine)
        waiting = threading.Thread(
            target=engine.submit, args=([Request("read", pipe.file, 0, memoryview(bytearray(4)))],)
        )
        waiting.start()
        wait_for(lambda: not engine._rings._idle)
        (done,) = engine.submit([Request("read", file, 0, aligned_buffer(4096))], deadline_s=0.05)
        assert "was not begun" in str(done.error)
        pipe.answer(b"done")
        waiting.join()
        read_all(engine, path)


# Refusals


def test_odirect_refused_at_the_first_request_falls_back_once(engine, path, monkeypatch):
    """LMCache #4364: accepted at open, EINVAL at every write."""
    real, refusals = ring.Ring.drive, []

    def refuse(self, jobs, n_jobs, drain, step, deadline_ns):
        answer = real(self, jobs, n_jobs, drain, step, deadline_ns)
        if drain and not refusals:
            refusals.append(n_jobs)
            jobs[:n_jobs, ring_job.MOVED] = -errno.EINVAL
        return answer

    monkeypatch.setattr(ring.Ring, "drive", refuse)
    file = engine.open(path)
    block = aligned_buffer(PAGE_BYTES)
    block[:] = b"w" * PAGE_BYTES
    batch = [Request("write", file, i * PAGE_BYTES, block) for i in range(3)]
    check_all(engine.submit(batch))
    stats = engine.stats()
    assert (stats.writes, stats.errors) == (3, 0)
    assert not stats.direct
    assert "blocks: O_DIRECT was accepted, then refused by the first write" in stats.fallback_reason
    assert engine.direct_proof(file).flag is False
    assert path.read_bytes()[: 3 * PAGE_BYTES] == bytes(block) * 3


def test_a_ring_that_breaks_fails_its_batch_and_is_replaced(engine, path, monkeypatch):
    real, broken = ring.Ring.drive, []

    def break_once(self, *arguments):
        if not broken:
            broken.append(self)
            return -errno.EBADF
        return real(self, *arguments)

    monkeypatch.setattr(ring.Ring, "drive", break_once)
    file = engine.open(path)
    (done,) = engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))])
    assert os.strerror(errno.EBADF) in str(done.error)
    read_all(engine, path)
    assert broken[0] not in engine._rings._idle


@pytest.mark.parametrize("arguments", [{"depth": 0}, {"depth": 5000}, {"rings": 0}])
def test_impossible_sizes_are_refused(arguments):
    with pytest.raises(StorageError, match="must be 1 to 4096"):
        UringEngine(**arguments)


def test_memory_in_use_cannot_be_pulled_away(engine, path):
    """A bytearray that a request reads into cannot be resized meanwhile."""
    pipe, buffer = Pipe(engine), bytearray(4)
    waiting = threading.Thread(
        target=engine.submit, args=([Request("read", pipe.file, 0, memoryview(buffer))],)
    )
    waiting.start()
    wait_for(lambda: not engine._rings._idle)
    with pytest.raises(BufferError):
        buffer.extend(b"more")
    pipe.answer(b"done")
    waiting.join()
    assert bytes(buffer) == b"done"


def test_the_bench_of_the_suite_is_what_it_says(engine, disk_folder):
    bench = Bench(engine, disk_folder)
    bench.make("a", b"abc")
    assert bench.content("a") == b"abc"


def test_loops_are_compiled_when_the_engine_is_made_and_not_within_a_deadline():
    """In a process of its own, for in this one they are compiled already."""
    script = (
        "from kernels import ring, ring_job as job; "
        "from workbench.tiering.async_io.io_uring import UringEngine; UringEngine(depth=4); "
        "print([len(f.signatures) for f in (ring.drive, job.add_up, job.next_misfit)])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[1, 1, 1]"
