"""Rows of jobs: what is off its grid, what is whole, and what is left of a vectored one."""

import numpy as np

from kernels import ring_job


def rows(n: int) -> np.ndarray:
    jobs = np.zeros((n, ring_job.JOB_COLUMNS), dtype=np.int64)
    jobs[:, ring_job.WORD] = ring_job.NOP
    return jobs


def misfits(jobs: np.ndarray) -> list[int]:
    rows, row = [], ring_job.next_misfit(jobs, 0, len(jobs))
    while row < len(jobs):
        rows.append(row)
        row = ring_job.next_misfit(jobs, row + 1, len(jobs))
    return rows


def test_misfits_are_found_by_each_rows_own_grid():
    jobs = rows(7)
    columns = [ring_job.OFFSET, ring_job.ADDRESS, ring_job.N_BYTES, ring_job.BUFFER]
    jobs[:, columns] = [
        (4096, 8192, 4096, 4095),
        (4097, 8192, 4096, 4095),
        (4096, 8193, 4096, 4095),
        (4096, 8192, 4095, 4095),
        (1, 1, 1, 0),
        (-4096, 0, 4096, 0),
        (0, 0, 0, 4095),
    ]
    assert misfits(jobs) == [1, 2, 3, 5]
    assert not jobs[:, ring_job.BUFFER].any()


def test_whole_rows_are_counted_by_what_they_were():
    jobs = rows(7)
    jobs[:, ring_job.WORD] = [
        ring_job.READ,
        ring_job.WRITE | 5 << 32,
        ring_job.FSYNC,
        ring_job.READ_FIXED,
        ring_job.WRITEV,
        ring_job.READV,
        ring_job.SKIP,
    ]
    jobs[:, ring_job.N_BYTES] = [1, 2, 0, 4, 8, 16, 0]
    jobs[:, ring_job.MOVED] = [1, 2, 0, 4, 8, 15, 0]
    jobs[:, ring_job.ENDED_NS] = [1, 1, 1, 1, 1, 1, 0]
    totals = np.full(5, 99, dtype=np.int64)
    ring_job.add_up(jobs, totals)
    assert totals.tolist() == [2, 5, 2, 10, 1]
    assert ring_job.count_whole(jobs, 0, 7) == 5
    assert ring_job.count_whole(jobs, 2, 4) == 2
    assert ring_job.count_whole(jobs, 5, 7) == 0


def test_a_vectored_row_goes_on_behind_what_has_moved():
    table = np.array([4096, 100, 8192, 50, 12288, 30], np.int64)  # address, length
    jobs = rows(1)
    jobs[0, ring_job.ADDRESS], jobs[0, ring_job.BUFFER] = table.ctypes.data, 3
    ring_job.advance_vector(jobs, 0, 120)
    assert jobs[0, ring_job.ADDRESS] == table.ctypes.data + 16
    assert jobs[0, ring_job.BUFFER] == 2
    assert table[2:].tolist() == [8192 + 20, 30, 12288, 30]
