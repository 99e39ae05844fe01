"""Refuse requests that no device should see, and word what became of the others.

Follows: errors name the file, the request, the limit and the fix.
Leaves out: moving anything; every engine asks here before and after.
"""

from __future__ import annotations

import errno
import os

from workbench.tiering.async_io.buffers import address
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    MisalignedError,
    Request,
    ShortTransferError,
    StorageError,
)

_IN_PAGE = PAGE_BYTES - 1


def refusal(request: Request, name: str, direct: bool) -> StorageError | None:
    """Return why a request cannot be tried, or None.

    Parameters
    ----------
    name : str      the file as messages show it
    direct : bool   whether offset, lengths and addresses must be multiples of 4 KiB
    """
    op, offset = request.op, request.offset
    if op == "sync":
        return None
    if op not in ("read", "write"):
        return StorageError(f"{name}: no such request as {op!r}; use read, write or sync")
    if offset < 0:
        return StorageError(f"{called(request, name)}: the offset is negative")
    misfit, misplaced, for_writing = offset, 0, op == "write"
    for buffer in (request.buffer, *request.rest) if request.rest else (request.buffer,):
        if buffer.readonly and not for_writing:
            return StorageError(f"{called(request, name)}: give a writable buffer")
        if direct:
            misfit |= buffer.nbytes
            misplaced |= address(buffer)
    if direct and (misfit | misplaced) & _IN_PAGE:
        return _off_grid(request, name, misfit)
    return None


def _off_grid(request: Request, name: str, misfit: int) -> MisalignedError:
    if misfit & _IN_PAGE:
        return MisalignedError(
            f"{called(request, name)} is no multiple of {PAGE_BYTES} bytes; direct I/O needs that"
        )
    return MisalignedError(
        f"{called(request, name)} has a buffer that is not page-aligned; "
        "direct I/O needs that (aligned_buffer)"
    )


def called(request: Request, name: str) -> str:
    """Return the words for a request: file, direction, length, place."""
    if request.op == "sync":
        return f"{name}: sync"
    return f"{name}: {request.op} of {request.n_bytes} bytes at {request.offset}"


def failed(request: Request, name: str, number: int) -> StorageError:
    """Return the error for a request that the system answered with an error number."""
    why = os.strerror(number)
    if number == errno.EBADF and request.op == "write":
        why += " (was the file opened for reading only?)"
    if request.op == "sync":
        return StorageError(
            f"{name}: flush failed: {why}; nothing since the last good flush can be trusted"
        )
    return StorageError(f"{called(request, name)} failed: {why}")


def fell_short(request: Request, name: str, moved: int) -> ShortTransferError:
    """Return the error for a request that ended before its buffers did."""
    return ShortTransferError(
        f"{called(request, name)} stopped after {moved} bytes; is the file long enough?"
    )


def too_late(request: Request, name: str, deadline_s: float, tried: bool = True) -> DeadlineError:
    """Return the error for a request that had no answer by its deadline."""
    state = "had no answer" if tried else "was not begun"
    return DeadlineError(f"{called(request, name)} {state} within {deadline_s:g} s")


def unknown_file(request: Request) -> StorageError:
    """Return the error for a request whose handle is not open."""
    return StorageError(
        f"{request.op} at {request.offset}: file {request.file} is not open; open it first"
    )
