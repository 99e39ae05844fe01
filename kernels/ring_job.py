"""Say what a job is: one row of int64 that holds one transfer; count such rows, and go on with one.

Follows: io_uring's submission entries: a row holds their first word, offset and address.
Leaves out: carrying jobs out (ring.py) and filling them in (tiering/async_io/ring_jobs.py).

After an edit here delete kernels/__pycache__: ring.py's loops contain these.
"""

from __future__ import annotations

from numba import njit

from kernels.atomics import load_int64, store_int64

# Operations (linux/io_uring.h).
NOP, READV, WRITEV, FSYNC, READ_FIXED, WRITE_FIXED = 0, 1, 2, 3, 4, 5
ASYNC_CANCEL, READ, WRITE = 14, 22, 23

# Columns of a job. WORD is the submission's first 8 bytes (operation, flags, file descriptor), or
# SKIP for a row that is not to be submitted. N_BYTES is the sum over all buffers; ADDRESS is that
# of the buffer, or of the iovec table whose length is in BUFFER (vectored operations); BUFFER is
# otherwise the registered buffer's number. MOVED counts bytes, or holds a negative error number.
# ENDED stays 0 until the job is over.
WORD, OFFSET, ADDRESS, N_BYTES, BUFFER, MOVED, STARTED_NS, ENDED_NS = range(8)
JOB_COLUMNS = 8
SKIP = -1

# What Python calls here takes a microsecond and keeps the GIL: whoever got it in between, a thread
# that checks blocks or asks for the next ones, would keep the device waiting for as long as it
# likes.


@njit(cache=True)
def next_misfit(jobs, first, stop):
    """Return the first row whose offset is negative or off its grid, or ``stop``.

    Each row's BUFFER holds its mask: the bits that must be 0 in offset, address and length. It is 0
    afterwards, in the rows that were looked at.
    """
    for row in range(first, stop):
        offset, mask = jobs[row, OFFSET], jobs[row, BUFFER]
        jobs[row, BUFFER] = 0
        if offset < 0 or (offset | jobs[row, ADDRESS] | jobs[row, N_BYTES]) & mask:
            return row
    return stop


@njit(cache=True, nogil=True)
def _is_whole(jobs, row):
    return jobs[row, ENDED_NS] > 0 and jobs[row, MOVED] == jobs[row, N_BYTES]


@njit(cache=True)
def count_whole(jobs, first, stop):
    """Return how many rows from ``first`` on are over and whole, up to one that is not."""
    row = first
    while row < stop and _is_whole(jobs, row):
        row += 1
    return row - first


@njit(cache=True)
def add_up(jobs, totals):
    """Count the whole rows.

    Parameters
    ----------
    totals : int64[5]   out: reads, their bytes, writes, their bytes, syncs
    """
    totals[:] = 0
    for row in range(jobs.shape[0]):
        if not _is_whole(jobs, row):
            continue
        operation = jobs[row, WORD] & 0xFF
        if operation == FSYNC:
            totals[4] += 1
        else:
            kind = 0 if operation in (READ, READV, READ_FIXED) else 2
            totals[kind] += 1
            totals[kind + 1] += jobs[row, N_BYTES]


@njit(cache=True, nogil=True)
def is_vectored(word):
    """Return whether a row's bytes lie in several buffers."""
    operation = word & 0xFF
    return operation in (READV, WRITEV)


@njit(cache=True, nogil=True)
def advance_vector(jobs, row, n_bytes):
    """Take bytes that have moved off the front of a job's iovec table."""
    while n_bytes > 0:
        address = jobs[row, ADDRESS]
        length = load_int64(address + 8)
        if length > n_bytes:
            store_int64(address, load_int64(address) + n_bytes)
            store_int64(address + 8, length - n_bytes)
            return
        n_bytes -= length
        jobs[row, ADDRESS] += 16
        jobs[row, BUFFER] -= 1
