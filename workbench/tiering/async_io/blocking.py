"""Carry out one request by system calls that wait, to its end or to its failure.

Follows: preadv/pwritev at an offset, fdatasync; F_FULLFSYNC on macOS, whose fsync stops at the
drive's cache. Each call releases the GIL.
Leaves out: time limits; a call that hangs, hangs (threads.py lives with that).
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys

from workbench.tiering.async_io.checks import failed, fell_short, refusal
from workbench.tiering.async_io.engine import PAGE_BYTES, Request, StorageError
from workbench.tiering.async_io.files import FileTable, OpenFile


def carry_out(
    request: Request, file: OpenFile, table: FileTable
) -> tuple[StorageError | None, int]:
    """Move one request whole, or flush its file.

    Returns
    -------
    error : StorageError or None
    short_transfers : int           calls that moved less than asked and went on

    Cost    one system call and about 2 us around it.
    """
    refused = refusal(request, file.name, file.direct)
    if refused is not None:
        return refused, 0
    try:
        if request.op == "sync":
            flush(file.fd)
            return None, 0
        return _transfer(request, file)
    except OSError as error:
        # The request is on the grid, so this EINVAL means that O_DIRECT is not had after all.
        if error.errno == errno.EINVAL and file.direct:
            table.fall_back(file, request.op)
            return carry_out(request, file, table)
        return failed(request, file.name, error.errno or errno.EIO), 0


def flush(fd: int) -> None:
    """Make everything written to a descriptor durable; OSError if the device reports a failure."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


def _transfer(request: Request, file: OpenFile) -> tuple[StorageError | None, int]:
    buffers, n_bytes = (request.buffer, *request.rest), request.n_bytes
    # An interrupted call (EINTR) is repeated by the interpreter itself (PEP 475).
    call = os.preadv if request.op == "read" else os.pwritev
    done = call(file.fd, buffers, request.offset)
    short_transfers = 0
    while done < n_bytes:
        short_transfers += 1
        # A direct read that ends off the grid has met the end of the file.
        at_end = file.direct and done % PAGE_BYTES
        moved = 0 if at_end else call(file.fd, rest_of(buffers, done), request.offset + done)
        if moved == 0:
            return fell_short(request, file.name, done), short_transfers
        done += moved
    return None, short_transfers


def rest_of(buffers: tuple[memoryview, ...], done: int) -> list[memoryview]:
    """Return what is left of the buffers after their first ``done`` bytes."""
    left: list[memoryview] = []
    for buffer in buffers:
        if done < buffer.nbytes:
            left.append(buffer[done:])
        done = max(0, done - buffer.nbytes)
    return left
