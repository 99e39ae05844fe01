"""Keep an engine's open files by handle, and keep each descriptor as long as a request needs it.

Follows: O_DIRECT on Linux, F_NOCACHE on macOS; a refusal falls back once for the file and is told.
Leaves out: creating, renaming and removing files (folder.py).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.paths import shown
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError

REFUSALS = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}


@dataclass(frozen=True, slots=True)
class DirectProof:
    """Whether the kernel says that a file bypasses the page cache, and where it said so.

    ``flag`` is None where the system offers no way to read it back.
    """

    flag: bool | None
    evidence: str


@dataclass(slots=True)
class OpenFile:
    """One open file; ``users`` counts the batches that may still touch its descriptor."""

    path: Path
    name: str
    fd: int
    direct: bool
    users: int = 0
    forgotten: bool = False


class FileTable:
    """The files of one engine; safe to use from several threads."""

    def __init__(self, *, direct: bool = True, write_through: bool = False) -> None:
        """Make an empty table.

        Parameters
        ----------
        direct : bool          bypass the page cache; a file whose file system refuses is buffered
        write_through : bool   every write reaches the device before it completes (O_DSYNC)
        """
        self._wants_direct = direct
        self._flags = os.O_DSYNC if write_through else 0
        self._lock = threading.Lock()
        self._handles = itertools.count(1)
        self._files: dict[int, OpenFile] = {}
        self._closed = False
        self.fallback_reason = ""

    @property
    def closed(self) -> bool:
        """Return whether the table was closed."""
        return self._closed

    @property
    def direct(self) -> bool:
        """Return whether every open file bypasses the page cache."""
        with self._lock:
            return self._wants_direct and all(file.direct for file in self._files.values())

    def open(self, path: Path, writable: bool = True) -> int:
        """Open an existing regular file and return a handle that is never given out again.

        Raises
        ------
        StorageError   if the table is closed, or there is no regular file, or no permission
        """
        self._refuse_closed()
        flags = self._flags | (os.O_RDWR if writable else os.O_RDONLY)
        try:
            fd, refused = _open(path, flags, self._wants_direct)
        except OSError as error:
            raise StorageError(f"{shown(path)}: cannot be opened: {_reason(error)}") from error
        file = OpenFile(path, shown(path), fd, self._wants_direct and not refused)
        with self._lock:
            if self._closed:
                os.close(fd)
                self._refuse_closed()
            self._note(f"{file.name}: {refused}" if refused else "")
            handle = next(self._handles)
            self._files[handle] = file
        return handle

    def get(self, handle: int) -> OpenFile:
        """Return an open file.

        Raises
        ------
        StorageError   if the table is closed or the handle is not open
        """
        self._refuse_closed()
        try:
            return self._files[handle]
        except KeyError:
            raise StorageError(f"file {handle} is not open; open it first") from None

    def borrow(self, handles: Iterable[int]) -> dict[int, OpenFile]:
        """Return those of the handles that are open; each stays open until it is given back.

        Raises
        ------
        StorageError   if the table is closed
        """
        with self._lock:
            self._refuse_closed()
            found = {handle: self._files[handle] for handle in handles if handle in self._files}
            for file in found.values():
                file.users += 1
        return found

    def give_back(self, files: Iterable[OpenFile]) -> None:
        """Let go of borrowed files; one that was forgotten meanwhile is closed by its last user."""
        with self._lock:
            for file in files:
                file.users -= 1
                self._close_unused(file)

    @contextlib.contextmanager
    def borrowed(self, handles: Iterable[int]) -> Iterator[dict[int, OpenFile]]:
        """Borrow files for the time of a ``with`` block."""
        files = self.borrow(handles)
        try:
            yield files
        finally:
            self.give_back(files.values())

    def fall_back(self, file: OpenFile, refused_by: str) -> None:
        """Let a file whose file system accepted O_DIRECT and then refused a request be buffered."""
        with self._lock:
            if not file.direct:
                return
            flags = fcntl.fcntl(file.fd, fcntl.F_GETFL)
            fcntl.fcntl(file.fd, fcntl.F_SETFL, flags & ~getattr(os, "O_DIRECT", 0))
            file.direct = False
            self._note(
                f"{file.name}: O_DIRECT was accepted, then refused by the first {refused_by}"
            )

    def forget(self, handle: int) -> None:
        """Close a file as soon as no batch uses it; an unknown handle is an error.

        Raises
        ------
        StorageError   if the handle is not open
        """
        with self._lock:
            file = self._files.pop(handle, None)
            if file is None:
                raise StorageError(f"file {handle} is not open; it cannot be closed")
            file.forgotten = True
            self._close_unused(file)

    def close(self) -> None:
        """Forget every file, for good; closing twice is harmless."""
        with self._lock:
            self._closed = True
            while self._files:
                _, file = self._files.popitem()
                file.forgotten = True
                self._close_unused(file)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageError("the engine is closed; open another one")

    def _note(self, refused: str) -> None:
        self.fallback_reason = self.fallback_reason or refused

    @staticmethod
    def _close_unused(file: OpenFile) -> None:
        if file.forgotten and file.users == 0 and file.fd >= 0:
            os.close(file.fd)
            file.fd = -1


def direct_proof(fd: int) -> DirectProof:
    """Read a descriptor's O_DIRECT flag back from the kernel."""
    fdinfo = Path("/proc/self/fdinfo") / str(fd)
    if not fdinfo.exists():
        return DirectProof(None, "this system does not show a handle's flags")
    fields = dict(line.split(":", 1) for line in fdinfo.read_text().splitlines() if ":" in line)
    flags = fields["flags"].strip()
    return DirectProof(bool(int(flags, 8) & os.O_DIRECT), f"fdinfo flags {flags}")


def _reason(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return "it is a symbolic link; name the file itself"
    return os.strerror(error.errno or 0) if error.errno else str(error)


def _open(path: Path, flags: int, direct: bool) -> tuple[int, str]:
    """Open the file, directly if asked and possible; return the handle and the refusal, or ""."""
    if not direct:
        return _open_regular(path, flags), ""
    if sys.platform == "darwin":
        fd = _open_regular(path, flags)
        fcntl.fcntl(fd, fcntl.F_NOCACHE, 1)
        return fd, ""
    try:
        fd = _open_regular(path, flags | os.O_DIRECT)
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return _open_regular(path, flags), "O_DIRECT was refused when the file was opened"
    # Some file systems accept the flag and refuse the first request.
    try:
        os.preadv(fd, [aligned_buffer(PAGE_BYTES)], 0)
    except OSError as error:
        os.close(fd)
        if error.errno not in REFUSALS:
            raise
        return _open_regular(path, flags), "O_DIRECT was accepted, then refused by the first read"
    return fd, ""


def _open_regular(path: Path, flags: int) -> int:
    """Open a regular file and nothing else; no link is followed, no FIFO is waited for."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise StorageError(f"{shown(path)}: cannot be opened: it is no regular file")
        # Left set, it would make a ring answer EAGAIN instead of waiting for the device.
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    except BaseException:
        os.close(fd)
        raise
    return fd
