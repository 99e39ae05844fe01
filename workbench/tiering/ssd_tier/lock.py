"""Let one process at a time use a store, and say which one it is.

Follows: flock, which the kernel drops with its holder, so that a killed process leaves no lock.
Leaves out: network file systems whose flock is local; a store belongs on a local disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import weakref

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.folder import RealFolder
from workbench.tiering.ssd_tier.errors import StoreInUseError
from workbench.tiering.ssd_tier.layout import LOCK, LOCK_BYTES

_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """An exclusive lock on a folder, held until `release` or the end of the process."""

    def __init__(self, folder: RealFolder, shown: str) -> None:
        """Take the lock at once or not at all.

        Raises
        ------
        StoreInUseError   if another process, or another store of this one, holds it
        StorageError      if the lock file is a link or cannot be opened
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(LOCK, flags, 0o600, dir_fd=folder.fileno())
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise StorageError(
                f"{shown}/{LOCK}: cannot be opened: {why}; it must be a plain file that you may "
                "write"
            ) from error
        # A lock in a pipe or device would hold nothing and be written to.
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise StorageError(f"{shown}/{LOCK}: is no plain file; remove it and open again")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = _holder(self._fd)
            os.close(self._fd)
            raise StoreInUseError(shown, pid) from error
        os.pwrite(self._fd, f"{os.getpid()}\n".encode().ljust(LOCK_BYTES), 0)
        _held.add(self)

    def release(self) -> None:
        """Let the next one in; doing it twice is harmless.

        The descriptor is closed, never unlocked: after a fork it may be shared.
        """
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _holder(fd: int) -> int | None:
    with contextlib.suppress(ValueError):
        return int(os.pread(fd, LOCK_BYTES, 0))
    return None


def _drop_in_child() -> None:
    """Close the child's copies, or they would hold the lock after the parent's end."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_drop_in_child)
