"""Move one block at a time and wait for it: the plainest engine, and the baseline of the others.

Follows: preadv/pwritev at an offset; O_DIRECT on Linux, F_NOCACHE on macOS.
Leaves out: queue depth, merging, read-ahead, deadlines.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType

from workbench.paths import shown
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    Completion,
    EngineStats,
    MisalignedError,
    Request,
    ShortTransferError,
    StorageError,
)

_REFUSALS = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}


@dataclass(frozen=True, slots=True)
class DirectProof:
    """Whether the kernel says that a handle bypasses the page cache, and where it said so.

    ``flag`` is None where the system offers no way to read it back.
    """

    flag: bool | None
    evidence: str


class SynchronousEngine:
    """Reads and writes one existing file, block after block, in the calling thread."""

    def __init__(
        self, path: Path, *, writable: bool = True, direct: bool = True, write_through: bool = False
    ) -> None:
        """Open a file that exists.

        Parameters
        ----------
        path : Path            an existing regular file
        writable : bool        False opens it for reading only
        direct : bool          bypass the page cache; if the file system refuses, the engine falls
                               back to buffered I/O once, for good, and says why in its stats
        write_through : bool   every write reaches the device before it completes (O_DSYNC)

        Raises
        ------
        StorageError   if the file cannot be opened
        """
        self._path = path
        flags = os.O_RDWR if writable else os.O_RDONLY
        flags |= os.O_DSYNC if write_through else 0
        try:
            self._fd, self._fallback_reason = _open(path, flags, direct)
        except OSError as error:
            raise StorageError(
                f"{shown(path)}: cannot be opened: {os.strerror(error.errno or 0)}"
            ) from error
        self._direct = direct and not self._fallback_reason
        self._reads = self._writes = self._errors = self._short_transfers = 0
        self._read_bytes = self._written_bytes = 0

    @property
    def direct(self) -> bool:
        """Return whether requests bypass the page cache."""
        return self._direct

    def fileno(self) -> int:
        """Return the file descriptor, for `residency`; raises StorageError once closed."""
        if self._fd < 0:
            raise StorageError(f"{shown(self._path)}: the engine is closed; open it again")
        return self._fd

    def submit(self, batch: Sequence[Request]) -> list[Completion]:
        """Move every block in order, each to its end before the next begins.

        Raises
        ------
        StorageError   only if the engine is closed; a block's failure is in its completion

        Cost    one system call a block and about 1 us around it; latencies are those of the block.
        """
        self.fileno()
        completions = []
        for request in batch:
            start = perf_counter_ns()
            error = self._move(request)
            completions.append(Completion(request, perf_counter_ns() - start, error))
        return completions

    def sync(self) -> None:
        """Write everything buffered for this file to the device.

        Raises
        ------
        StorageError   if the device reports a failure: nothing since the last good one is durable
        """
        try:
            os.fsync(self.fileno())
        except OSError as error:
            raise StorageError(
                f"{shown(self._path)}: flush failed: {os.strerror(error.errno or 0)}; "
                "nothing since the last good flush can be trusted"
            ) from error

    def direct_proof(self) -> DirectProof:
        """Read the handle's O_DIRECT flag back from the kernel."""
        fdinfo = Path("/proc/self/fdinfo") / str(self.fileno())
        if not fdinfo.exists():
            return DirectProof(None, "this system does not show a handle's flags")
        fields = dict(line.split(":", 1) for line in fdinfo.read_text().splitlines() if ":" in line)
        flags = fields["flags"].strip()
        return DirectProof(bool(int(flags, 8) & os.O_DIRECT), f"fdinfo flags {flags}")

    def stats(self) -> EngineStats:
        """Return the counters so far."""
        return EngineStats(
            submitted=self._reads + self._writes + self._errors,
            reads=self._reads,
            writes=self._writes,
            errors=self._errors,
            read_bytes=self._read_bytes,
            written_bytes=self._written_bytes,
            short_transfers=self._short_transfers,
            direct=self._direct,
            fallback_reason=self._fallback_reason,
        )

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> SynchronousEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _move(self, request: Request) -> StorageError | None:
        """Move one block whole and count it; return what went wrong, if anything did."""
        try:
            self._transfer(request)
        except StorageError as error:
            self._errors += 1
            return error
        except (OSError, BufferError) as error:
            self._errors += 1
            return self._explain(request, error)
        if request.op == "read":
            self._reads += 1
            self._read_bytes += len(request.buffer)
        else:
            self._writes += 1
            self._written_bytes += len(request.buffer)
        return None

    def _transfer(self, request: Request) -> None:
        buffer, offset = request.buffer, request.offset
        n_bytes = len(buffer)
        if self._direct and (offset | n_bytes) % PAGE_BYTES:
            raise MisalignedError(
                f"{self._name(request)} is no multiple of {PAGE_BYTES} bytes; direct I/O needs that"
            )
        # An interrupted call (EINTR) is repeated by the interpreter itself (PEP 475).
        call = os.preadv if request.op == "read" else os.pwritev
        done = call(self._fd, (buffer,), offset)
        while done < n_bytes:
            self._short_transfers += 1
            # A direct read that ends off the grid has met the end of the file.
            at_end = self._direct and done % PAGE_BYTES
            moved = 0 if at_end else call(self._fd, (buffer[done:],), offset + done)
            if moved == 0:
                raise ShortTransferError(
                    f"{self._name(request)} stopped after {done} bytes; is the file long enough?"
                )
            done += moved

    def _explain(self, request: Request, error: OSError | BufferError) -> StorageError:
        if isinstance(error, BufferError):
            return StorageError(f"{self._name(request)}: {error}; give a writable buffer")
        if error.errno == errno.EINVAL and self._direct:
            return MisalignedError(
                f"{self._name(request)} was refused; is the buffer page-aligned (aligned_buffer)?"
            )
        return StorageError(f"{self._name(request)} failed: {os.strerror(error.errno or 0)}")

    def _name(self, request: Request) -> str:
        n_bytes = len(request.buffer)
        return f"{shown(self._path)}: {request.op} of {n_bytes} bytes at {request.offset}"


def _open(path: Path, flags: int, direct: bool) -> tuple[int, str]:
    """Open the file, directly if asked and possible; return the handle and the refusal, or ""."""
    if not direct:
        return os.open(path, flags), ""
    if sys.platform == "darwin":
        fd = os.open(path, flags)
        fcntl.fcntl(fd, fcntl.F_NOCACHE, 1)
        return fd, ""
    try:
        fd = os.open(path, flags | os.O_DIRECT)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        return os.open(path, flags), "O_DIRECT was refused when the file was opened"
    # Some file systems accept the flag and refuse the first request.
    try:
        os.preadv(fd, [aligned_buffer(PAGE_BYTES)], 0)
    except OSError as error:
        os.close(fd)
        if error.errno not in _REFUSALS:
            raise
        return os.open(path, flags), "O_DIRECT was accepted, then refused by the first read"
    return fd, ""
