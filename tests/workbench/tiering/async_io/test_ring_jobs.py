"""Requests become rows and rows become completions, whatever became of them."""

import errno
from pathlib import Path

import numpy as np
import pytest

from kernels import ring_job
from workbench.tiering.async_io.buffers import address, aligned_buffer
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    MisalignedError,
    Request,
    ShortTransferError,
)
from workbench.tiering.async_io.files import OpenFile
from workbench.tiering.async_io.ring_jobs import RegisteredBuffers, RingJobs

FILES = {
    1: OpenFile(Path("d"), "direct", 11, direct=True),
    2: OpenFile(Path("b"), "buffered", 12, direct=False),
}
PAGE = aligned_buffer(2 * PAGE_BYTES)


def jobs_for(*batch: Request) -> RingJobs:
    jobs = RingJobs(batch, FILES, None)
    jobs.convert(len(batch))
    return jobs


def test_rows_say_what_requests_say():
    jobs = jobs_for(
        Request("read", 1, 8192, PAGE),
        Request("write", 2, 5, PAGE[1:4]),
        Request("sync", 1),
        Request("write", 2, 7, memoryview(b"read-only")),
        Request("read", 2, 0, memoryview(bytearray())),
    )
    assert (jobs.table[:, ring_job.WORD] & 0xFF).tolist() == [
        ring_job.READ,
        ring_job.WRITE,
        ring_job.FSYNC,
        ring_job.WRITE,
        ring_job.READ,
    ]
    assert (jobs.table[:, ring_job.WORD] >> 32).tolist() == [11, 12, 11, 12, 12]
    assert jobs.table[:, ring_job.OFFSET].tolist() == [8192, 5, 0, 7, 0]
    assert jobs.table[:, ring_job.N_BYTES].tolist() == [8192, 3, 0, 9, 0]
    assert jobs.table[1, ring_job.ADDRESS] == address(PAGE) + 1
    assert not jobs.table[:, ring_job.BUFFER].any()


def test_many_buffers_become_a_table_of_them():
    second = aligned_buffer(PAGE_BYTES)
    jobs = jobs_for(Request("sync", 1), Request("read", 1, 0, PAGE, (second,)))
    row = jobs.table[1]
    assert row[ring_job.WORD] & 0xFF == ring_job.READV
    assert row[ring_job.N_BYTES] == 3 * PAGE_BYTES
    assert row[ring_job.BUFFER] == 2
    (table,) = jobs._tables
    assert row[ring_job.ADDRESS] == table.ctypes.data
    expected = [[address(PAGE), 2 * PAGE_BYTES], [address(second), PAGE_BYTES]]
    assert table.tolist() == expected


def test_converting_in_steps_is_converting_at_once():
    batch = [Request("read", 1, i * PAGE_BYTES, PAGE) for i in range(10)]
    batch[3] = Request("read", 1, 1, PAGE)
    batch[7] = Request("read", 2, 1, PAGE, (PAGE,))
    steps = RingJobs(batch, FILES, None)
    for stop in (1, 4, 9, 10):
        steps.convert(stop)
    whole = jobs_for(*batch)
    columns = [ring_job.WORD, ring_job.OFFSET, ring_job.N_BYTES, ring_job.BUFFER]
    np.testing.assert_array_equal(steps.table[:, columns], whole.table[:, columns])
    assert steps.table[3, ring_job.WORD] == ring_job.SKIP


@pytest.mark.parametrize(
    ("n_bytes", "most", "expected"),
    [(64 << 10, 32, 8), (64 << 10, 4, 4), (1, 32, 2), (1, 1, 1), (1 << 30, 32, 32)],
)
def test_the_window_is_as_many_requests_as_move_so_many_bytes(n_bytes, most, expected):
    assert jobs_for(*[Request("read", 1, 0, PAGE)] * 100).window(n_bytes, most) == expected


def test_a_batch_that_moves_nothing_has_a_window_too():
    assert jobs_for(Request("sync", 1)).window(1 << 20, 32) == 32


def test_held_memory_stays_even_if_its_view_is_released():
    memory = bytearray(2 * PAGE_BYTES)
    buffer = memoryview(memory)
    jobs = jobs_for(Request("read", 2, 0, buffer), Request("sync", 2))
    held = jobs.hold(0)
    buffer.release()
    with pytest.raises(BufferError):
        memory.extend(b"more")
    del held
    memory.extend(b"more")
    assert jobs.hold(1) is not None


def finish(jobs: RingJobs, row: int, moved: int) -> None:
    jobs.table[row, ring_job.STARTED_NS : ring_job.ENDED_NS + 1] = 100, 100 + row + 1
    jobs.table[row, ring_job.MOVED] = moved


def test_every_outcome_has_its_completion():
    size = PAGE.nbytes
    batch = [Request("read", 1, i * PAGE_BYTES, PAGE) for i in range(7)]
    batch.append(Request("read", 1, 1, PAGE))
    batch.append(Request("read", 9, 0, PAGE))
    jobs = jobs_for(*batch)
    finish(jobs, 0, size)
    finish(jobs, 1, 512)
    finish(jobs, 2, -errno.EIO)
    finish(jobs, 3, -errno.ECANCELED)
    jobs.table[4, ring_job.STARTED_NS] = 50
    finish(jobs, 6, size)
    done = jobs.conclude(2.0, 1000, -errno.ETIME)
    assert [one.request for one in done] == batch
    assert [one.took_ns for one in done] == [1, 2, 3, 4, 950, 0, 7, 0, 0]
    kinds = [type(one.error) for one in done]
    assert kinds[0] is kinds[6] is type(None)
    assert kinds[1] is ShortTransferError
    assert "Input/output error" in str(done[2].error)
    assert kinds[3] is kinds[4] is kinds[5] is DeadlineError
    assert "had no answer within 2 s" in str(done[4].error)
    assert "was not begun" in str(done[5].error)
    assert kinds[7] is MisalignedError
    assert "file 9 is not open" in str(done[8].error)
    assert jobs.counts() == {
        "reads": 2,
        "read_bytes": 2 * size,
        "writes": 0,
        "written_bytes": 0,
        "syncs": 0,
        "errors": 7,
    }


def test_a_broken_ring_is_no_missed_deadline():
    done = jobs_for(Request("sync", 1)).conclude(1.0, 0, -errno.ENXIO)
    assert not isinstance(done[0].error, DeadlineError)
    assert "No such device" in str(done[0].error)


def test_completions_can_be_collected_as_they_come():
    batch = [Request("read", 1, i * PAGE_BYTES, PAGE) for i in range(6)]
    jobs = jobs_for(*batch)
    for row in (0, 1, 3):
        finish(jobs, row, PAGE.nbytes)
    jobs.collect(4)
    assert len(jobs._completions) == 2
    for row in (2, 4, 5):
        finish(jobs, row, PAGE.nbytes)
    done = jobs.conclude(1.0, 0, 0)
    assert [one.took_ns for one in done] == [1, 2, 3, 4, 5, 6]
    assert [one.request for one in done] == batch


def test_only_direct_files_can_refuse_direct_io():
    jobs = jobs_for(
        Request("read", 1, 0, PAGE), Request("read", 2, 0, PAGE), Request("read", 1, 0, PAGE)
    )
    for row, moved in enumerate([-errno.EINVAL, -errno.EINVAL, -errno.EIO]):
        finish(jobs, row, moved)
    assert jobs.refused_direct() == [0]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_registered_buffers_are_found_wherever_they_lie(order):
    pool = aligned_buffer(8 * PAGE_BYTES)
    parts = [pool[0:8192], pool[8192:12288], pool[16384:32768]]
    registered = RegisteredBuffers([parts[i] for i in order])
    pieces = [(0, 1), (4096, 1), (8192, 1), (4096, 2), (12288, 1), (16384, 4), (28672, 1)]
    batch = [Request("write", 1, 0, pool[start : start + n * PAGE_BYTES]) for start, n in pieces]
    batch += [Request("read", 1, 0, PAGE), Request("sync", 1), Request("read", 1, 3, pool)]
    jobs = RingJobs(batch, FILES, registered)
    jobs.convert(len(batch))
    numbers = {0: 0, 1: 0, 2: 1, 5: 2, 6: 2}
    for row in range(len(batch)):
        fixed = jobs.table[row, ring_job.WORD] & 0xFF == ring_job.WRITE_FIXED
        assert bool(fixed) is (row in numbers)
        if fixed:
            assert jobs.table[row, ring_job.BUFFER] == order.index(numbers[row])
    assert jobs.table[9, ring_job.WORD] == ring_job.SKIP
