"""Create, rename, remove and list the files of one folder, with the syncs that make it durable.

Follows: fsync of the folder after names change (Pillai et al., OSDI'14); openat-style calls, so
that a folder renamed meanwhile is still the same folder; no symbolic link is ever followed.
Leaves out: what is in the files (the engines).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from workbench.paths import shown
from workbench.tiering.async_io.blocking import flush
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.closing import Closing

_CHUNK_BYTES = 1 << 20
# What posix_fallocate answers where the file system cannot reserve room.
_NO_FALLOCATE = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}


class RealFolder(Closing):
    """One folder on a real file system; answers `engine.Folder`."""

    def __init__(self, path: Path) -> None:
        """Open a folder, which is made if it is not there (its parents too).

        Raises
        ------
        StorageError   if it is no folder, a symbolic link, or cannot be made
        """
        self._path = path
        with self._told(path.name, "opened"):
            path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    def path(self, name: str) -> Path:
        """Return where a name lies, for `Engine.open`; StorageError if it is no plain file name."""
        return self._path / _plain(name)

    def create(self, name: str, n_bytes: int) -> None:
        """Make a file of ``n_bytes`` allocated zeros whose length is durable when this returns.

        Room is reserved with posix_fallocate; where the file system cannot, zeros are written. A
        file that cannot be made whole is removed again. Its *name* is durable after `sync` only.

        Raises
        ------
        StorageError   if it exists, or lacks space, or ``n_bytes`` is negative

        Cost    a reservation and one flush; where there is no posix_fallocate, writing it all.
        """
        if n_bytes < 0:
            raise StorageError(f"{shown(self.path(name))}: cannot be made {n_bytes} bytes long")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with self._told(name, "created"):
            fd = os.open(_plain(name), flags, 0o600, dir_fd=self._fd())
            try:
                _allocate(fd, n_bytes)
                flush(fd)
            except BaseException:
                os.unlink(name, dir_fd=self._fd())
                raise
            finally:
                os.close(fd)

    def names(self) -> list[str]:
        """Return the names of the regular files, sorted; links and folders are left out."""
        with self._told("", "listed"), os.scandir(self._fd()) as entries:
            return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))

    def size(self, name: str) -> int:
        """Return a file's length in bytes; StorageError if there is no regular file."""
        return self._look(name, "looked at").st_size

    def replace(self, old: str, new: str) -> None:
        """Rename ``old`` over ``new`` atomically; StorageError if ``old`` is no regular file."""
        self._look(old, "renamed")
        with self._told(old, f"renamed to {new}"):
            os.rename(old, _plain(new), src_dir_fd=self._fd(), dst_dir_fd=self._fd())

    def remove(self, name: str) -> None:
        """Remove a file; StorageError if there is no regular file."""
        self._look(name, "removed")
        with self._told(name, "removed"):
            os.unlink(name, dir_fd=self._fd())

    def sync(self) -> None:
        """Make creations, replacements and removals durable.

        Raises
        ------
        StorageError   if the device reports a failure: what changed since the last good one may be
                       lost
        """
        with self._told("", "flushed"):
            os.fsync(self._fd())

    def fileno(self) -> int:
        """Return the folder's descriptor, for locks; it stays this folder's until `close`."""
        return self._fd()

    def close(self) -> None:
        """Let go of the folder; closing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _fd(self) -> int:
        # Python takes -1 for "the working folder", so a closed one must never get there.
        if self._descriptor < 0:
            raise StorageError(f"{shown(self._path)}: the folder is closed; open it again")
        return self._descriptor

    def _look(self, name: str, done: str) -> os.stat_result:
        with self._told(name, done):
            found = os.stat(_plain(name), dir_fd=self._fd(), follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(f"{shown(self.path(name))}: cannot be {done}: it is no regular file")
        return found

    @contextlib.contextmanager
    def _told(self, name: str, done: str) -> Iterator[None]:
        """Turn the system's errors into ours, naming the file and what was to be done to it."""
        try:
            yield
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise StorageError(f"{shown(self._path / name)}: cannot be {done}: {why}") from error


def _plain(name: str) -> str:
    """Return a name that can only mean a file of this very folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise StorageError(f"{name!r} is no plain file name; leave folders out of it")
    return name


def _allocate(fd: int, n_bytes: int) -> None:
    """Give a new file its length and its room on the disk."""
    if n_bytes == 0:
        return
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, n_bytes)
        except OSError as error:
            if error.errno not in _NO_FALLOCATE:
                raise
        else:
            return
    zeros = bytes(min(n_bytes, _CHUNK_BYTES))
    offset = 0
    while offset < n_bytes:
        offset += os.pwrite(fd, zeros[: n_bytes - offset], offset)
