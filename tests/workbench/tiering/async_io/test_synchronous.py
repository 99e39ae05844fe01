"""The synchronous engine moves whole blocks, counts them, and says how it was opened."""

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.tiering.async_io import residency, synchronous
from workbench.tiering.async_io.buffers import aligned_buffer, split
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    MisalignedError,
    Request,
    ShortTransferError,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.synchronous import SynchronousEngine

N_BLOCKS = 16
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="O_DIRECT is Linux's")


@pytest.fixture
def content():
    return np.random.default_rng(0).bytes(N_BLOCKS * PAGE_BYTES)


@pytest.fixture
def path(disk_folder, content):
    file = disk_folder / "blocks"
    file.write_bytes(content)
    with file.open("rb") as handle:
        residency.drop_cache(handle.fileno())
    return file


@pytest.mark.parametrize("direct", [True, False])
def test_reads_give_the_file_back(path, content, direct):
    buffer = aligned_buffer(N_BLOCKS * PAGE_BYTES)
    blocks = split(buffer, PAGE_BYTES)
    order = np.random.default_rng(1).permutation(N_BLOCKS)
    with SynchronousEngine(path, writable=False, direct=direct) as engine:
        done = engine.submit([Request("read", int(i) * PAGE_BYTES, blocks[i]) for i in order])
    check_all(done)
    assert [completion.request.offset // PAGE_BYTES for completion in done] == list(order)
    assert all(completion.took_ns > 0 for completion in done)
    assert bytes(buffer) == content


@pytest.mark.parametrize("direct", [True, False])
def test_writes_change_their_block_and_no_other(path, content, direct):
    block = aligned_buffer(PAGE_BYTES)
    block[:] = b"w" * PAGE_BYTES
    with SynchronousEngine(path, direct=direct) as engine:
        check_all(engine.submit([Request("write", 3 * PAGE_BYTES, block)]))
        engine.sync()
    expected = bytearray(content)
    expected[3 * PAGE_BYTES : 4 * PAGE_BYTES] = block
    assert path.read_bytes() == expected


def test_counters_add_up(path):
    block = aligned_buffer(PAGE_BYTES)
    batch = [
        Request("read", 0, block),
        Request("write", PAGE_BYTES, block),
        Request("read", N_BLOCKS * PAGE_BYTES, block),
    ]
    with SynchronousEngine(path) as engine:
        engine.submit(batch)
        stats = engine.stats()
    assert (stats.reads, stats.writes, stats.errors) == (1, 1, 1)
    assert stats.submitted == stats.reads + stats.writes + stats.errors
    assert (stats.read_bytes, stats.written_bytes) == (PAGE_BYTES, PAGE_BYTES)
    assert stats.fallback_reason == ""


@pytest.mark.parametrize("direct", [True, False])
def test_the_end_of_the_file_is_a_short_transfer(path, direct):
    os.truncate(path, PAGE_BYTES + 100)
    block = aligned_buffer(PAGE_BYTES)
    with SynchronousEngine(path, direct=direct) as engine:
        inside, across, beyond = engine.submit(
            [Request("read", i * PAGE_BYTES, block) for i in range(3)]
        )
    assert inside.error is None
    assert isinstance(across.error, ShortTransferError)
    assert "100 bytes" in str(across.error)
    assert isinstance(beyond.error, ShortTransferError)


def test_short_calls_are_continued(path, content, monkeypatch):
    real = os.preadv

    def stingy(fd, buffers, offset):
        return real(fd, [buffers[0][:1000]], offset)

    monkeypatch.setattr(synchronous.os, "preadv", stingy)
    block = aligned_buffer(PAGE_BYTES)
    with SynchronousEngine(path, direct=False) as engine:
        check_all(engine.submit([Request("read", 0, block)]))
        assert engine.stats().short_transfers == 4
    assert bytes(block) == content[:PAGE_BYTES]


@linux_only
@pytest.mark.parametrize(("offset", "n_bytes"), [(512, PAGE_BYTES), (0, 512), (-PAGE_BYTES, 4097)])
def test_direct_requests_off_the_grid_are_refused(path, offset, n_bytes):
    with SynchronousEngine(path) as engine:
        (done,) = engine.submit([Request("read", offset, aligned_buffer(n_bytes))])
    assert isinstance(done.error, MisalignedError)
    assert "4096" in str(done.error)


@linux_only
def test_an_unaligned_buffer_is_named_as_the_cause(path):
    block = aligned_buffer(2 * PAGE_BYTES)[1 : PAGE_BYTES + 1]
    with SynchronousEngine(path) as engine:
        (done,) = engine.submit([Request("read", 0, block)])
    assert isinstance(done.error, MisalignedError)
    assert "page-aligned" in str(done.error)


def test_a_read_only_buffer_is_an_error_of_its_block(path):
    with SynchronousEngine(path, direct=False) as engine:
        (done,) = engine.submit([Request("read", 0, memoryview(bytes(PAGE_BYTES)))])
    assert "writable" in str(done.error)


def test_writing_a_file_opened_for_reading_fails(path):
    with SynchronousEngine(path, writable=False) as engine:
        (done,) = engine.submit([Request("write", 0, aligned_buffer(PAGE_BYTES))])
        assert engine.stats().errors == 1
    assert os.strerror(errno.EBADF) in str(done.error)


@linux_only
def test_direct_reads_leave_the_cache_cold_and_buffered_ones_do_not(path):
    requests = [Request("read", 0, aligned_buffer(N_BLOCKS * PAGE_BYTES))]
    with SynchronousEngine(path) as engine:
        check_all(engine.submit(requests))
        assert residency.resident_frac(engine.fileno()) == 0
    with SynchronousEngine(path, direct=False) as engine:
        check_all(engine.submit(requests))
        assert residency.resident_frac(engine.fileno()) == 1


@linux_only
@pytest.mark.parametrize("direct", [True, False])
def test_the_flag_is_read_back(path, direct):
    with SynchronousEngine(path, direct=direct) as engine:
        assert engine.direct_proof().flag is direct
        assert engine.direct is direct
        assert engine.stats().direct is direct


@linux_only
def test_a_refusal_falls_back_once_and_says_so():
    # A kernel file that no version opens with O_DIRECT.
    with SynchronousEngine(Path("/proc/version"), writable=False) as engine:
        block = aligned_buffer(16)
        check_all(engine.submit([Request("read", 0, block)]))
        stats = engine.stats()
        assert engine.direct_proof().flag is False
    assert bytes(block).startswith(b"Linux version")
    assert not stats.direct
    assert "O_DIRECT was refused" in stats.fallback_reason


@linux_only
def test_a_refusal_of_the_first_read_falls_back_too(path, monkeypatch):
    real, calls = os.preadv, []

    def refuse_first(fd, buffers, offset):
        calls.append(offset)
        if len(calls) == 1:
            raise OSError(errno.EINVAL, "no")
        return real(fd, buffers, offset)

    monkeypatch.setattr(synchronous.os, "preadv", refuse_first)
    with SynchronousEngine(path) as engine:
        check_all(engine.submit([Request("read", 0, aligned_buffer(PAGE_BYTES))]))
        assert "first read" in engine.stats().fallback_reason
        assert engine.direct_proof().flag is False


@linux_only
def test_write_through_is_set_on_the_handle(path):
    with SynchronousEngine(path, direct=False, write_through=True) as engine:
        flags = Path(f"/proc/self/fdinfo/{engine.fileno()}").read_text().split("flags:")[1].split()
    assert int(flags[0], 8) & os.O_DSYNC


def test_a_missing_file_is_named(disk_folder):
    with pytest.raises(StorageError, match=r"nowhere: cannot be opened"):
        SynchronousEngine(disk_folder / "nowhere")


def test_a_closed_engine_says_so(path):
    engine = SynchronousEngine(path)
    engine.close()
    engine.close()
    with pytest.raises(StorageError, match="closed"):
        engine.submit([Request("read", 0, aligned_buffer(PAGE_BYTES))])
    with pytest.raises(StorageError, match="closed"):
        engine.sync()


def test_a_failed_flush_is_an_error(path):
    engine = SynchronousEngine(path)
    os.close(engine.fileno())
    with pytest.raises(StorageError, match="nothing since the last good flush"):
        engine.sync()
