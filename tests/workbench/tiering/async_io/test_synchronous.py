"""The synchronous engine conforms, moves blocks in order, and says how each file was opened."""

import errno
import os
import sys
from pathlib import Path

import pytest

from tests.contracts.engine_contract import RealEngineContract
from workbench.tiering.async_io import blocking, files, residency, synchronous
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.synchronous import SynchronousEngine

N_BLOCKS = 16
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="O_DIRECT is Linux's")


class TestDirect(RealEngineContract):
    def open_engine(self):
        return SynchronousEngine()


class TestBuffered(RealEngineContract):
    direct = False

    def open_engine(self):
        return SynchronousEngine(direct=False)


@pytest.fixture
def path(disk_folder):
    file = disk_folder / "blocks"
    file.write_bytes(os.urandom(N_BLOCKS * PAGE_BYTES))
    with file.open("rb") as handle:
        residency.drop_cache(handle.fileno())
    return file


@linux_only
def test_direct_reads_leave_the_cache_cold_and_buffered_ones_do_not(path):
    for direct, resident in ((True, 0), (False, 1)):
        with SynchronousEngine(direct=direct) as engine:
            file = engine.open(path)
            batch = [Request("read", file, 0, aligned_buffer(N_BLOCKS * PAGE_BYTES))]
            check_all(engine.submit(batch))
            assert residency.resident_frac(engine.fileno(file)) == resident


@linux_only
def test_the_flag_is_read_back(path):
    for direct in (True, False):
        with SynchronousEngine(direct=direct) as engine:
            file = engine.open(path)
            assert engine.direct_proof(file).flag is direct
            assert engine.stats().direct is direct


@linux_only
def test_a_refusal_falls_back_once_and_says_so(path):
    with SynchronousEngine() as engine:
        good = engine.open(path)
        assert engine.stats().direct
        # A kernel file that no version opens with O_DIRECT.
        file = engine.open(Path("/proc/version"), writable=False)
        block = aligned_buffer(16)
        check_all(engine.submit([Request("read", file, 0, block)]))
        stats = engine.stats()
        assert engine.direct_proof(file).flag is False
        assert engine.is_direct(good)
    assert bytes(block).startswith(b"Linux version")
    assert not stats.direct
    assert "version: O_DIRECT was refused" in stats.fallback_reason


@linux_only
def test_a_refusal_of_the_first_read_falls_back_too(path, monkeypatch):
    real, calls = os.preadv, []

    def refuse_first(fd, buffers, offset):
        calls.append(offset)
        if len(calls) == 1:
            raise OSError(errno.EINVAL, "no")
        return real(fd, buffers, offset)

    monkeypatch.setattr(files.os, "preadv", refuse_first)
    with SynchronousEngine() as engine:
        file = engine.open(path)
        check_all(engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))]))
        assert "first read" in engine.stats().fallback_reason
        assert engine.direct_proof(file).flag is False


@linux_only
def test_odirect_refused_falls_back_once_and_says_why(path, monkeypatch):
    """LMCache #4364: accepted at open, EINVAL at every write, 57 of 57 stores failed."""
    real, refused = os.pwritev, []

    def refuse_direct(fd, buffers, offset):
        if files.direct_proof(fd).flag:
            refused.append(offset)
            raise OSError(errno.EINVAL, "no")
        return real(fd, buffers, offset)

    monkeypatch.setattr(blocking.os, "pwritev", refuse_direct)
    block = aligned_buffer(PAGE_BYTES)
    block[:] = b"w" * PAGE_BYTES
    with SynchronousEngine() as engine:
        file = engine.open(path)
        check_all(engine.submit([Request("write", file, i * PAGE_BYTES, block) for i in range(5)]))
        stats = engine.stats()
    assert len(refused) == 1
    assert not stats.direct
    assert "blocks: O_DIRECT was accepted, then refused by the first write" in stats.fallback_reason
    assert path.read_bytes()[: 5 * PAGE_BYTES] == bytes(block) * 5


@linux_only
def test_write_through_is_set_on_the_handle(path):
    with SynchronousEngine(direct=False, write_through=True) as engine:
        fd = engine.fileno(engine.open(path))
        flags = Path(f"/proc/self/fdinfo/{fd}").read_text().split("flags:")[1].split()
    assert int(flags[0], 8) & os.O_DSYNC


def test_short_calls_are_continued(path, monkeypatch):
    real = os.preadv

    def stingy(fd, buffers, offset):
        return real(fd, [buffers[0][:1000]], offset)

    monkeypatch.setattr(blocking.os, "preadv", stingy)
    whole = aligned_buffer(2 * PAGE_BYTES)
    with SynchronousEngine(direct=False) as engine:
        file = engine.open(path)
        pair = (whole[:PAGE_BYTES], whole[PAGE_BYTES:])
        check_all(engine.submit([Request("read", file, PAGE_BYTES, pair[0], (pair[1],))]))
        assert engine.stats().short_transfers > 4
    assert bytes(whole) == path.read_bytes()[PAGE_BYTES : 3 * PAGE_BYTES]


def test_the_deadline_is_seen_between_requests(path, monkeypatch):
    now = [0]
    monkeypatch.setattr(synchronous, "perf_counter_ns", lambda: now[0])
    real = os.preadv

    def slow(fd, buffers, offset):
        now[0] += int(1e9)
        return real(fd, buffers, offset)

    with SynchronousEngine() as engine:
        file = engine.open(path)
        monkeypatch.setattr(blocking.os, "preadv", slow)
        done = engine.submit(
            [Request("read", file, 0, aligned_buffer(PAGE_BYTES)) for _ in range(4)], deadline_s=1.5
        )
    assert [type(one.error) for one in done] == [type(None)] * 2 + [DeadlineError] * 2
    assert "was not begun within 1.5 s" in str(done[2].error)


def test_a_failed_flush_is_an_error(path, monkeypatch):
    def broken(fd):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(blocking, "flush", broken)
    with SynchronousEngine() as engine:
        file = engine.open(path)
        (done,) = engine.submit([Request("sync", file)])
        assert engine.stats().errors == 1
    assert "nothing since the last good flush" in str(done.error)


def test_a_file_forgotten_during_a_batch_is_closed_after_it(path):
    with SynchronousEngine() as engine:
        file = engine.open(path)
        fd = engine.fileno(file)
        with engine._files.borrowed([file]):
            engine.forget(file)
            os.fstat(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_after_a_fork_is_refused(disk_folder):
    path = disk_folder / "blocks"
    path.write_bytes(bytes(PAGE_BYTES))
    with SynchronousEngine() as engine:
        request = Request("read", engine.open(path), 0, aligned_buffer(PAGE_BYTES))
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                engine.submit([request])
            except StorageError as error:
                status = 0 if "before a fork" in str(error) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        check_all(engine.submit([request]))
