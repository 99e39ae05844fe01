"""Read and make files that nobody but their owner may read.

Follows: ssh's rule for private keys; opened first and looked at then, so that nothing can be put in
its place in between.
Leaves out: access control lists, and who may read the folder.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from workbench.paths import shown
from workbench.tiering.encryption.errors import MasterKeyError

_MAX_BYTES = 4096
_OTHERS = 0o077


def read_private(path: Path) -> bytes:
    """Return a small file's bytes.

    Raises
    ------
    MasterKeyError   if it is missing, a link, no plain file, not ours, or others may use it
    """
    # Not to wait for somebody who writes into a pipe.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        raise MasterKeyError(
            f"{shown(path)}: there is no such key file; `workbench key new` makes one, or name the "
            "one that the store was made with"
        ) from None
    except OSError as error:
        raise MasterKeyError(
            f"{shown(path)}: cannot be opened: {os.strerror(error.errno or 0)}; a key file must be "
            "a plain file of yours, no link"
        ) from None
    try:
        _refuse_public(fd, path)
        return os.read(fd, _MAX_BYTES)
    finally:
        os.close(fd)


def _refuse_public(fd: int, path: Path) -> None:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise MasterKeyError(f"{shown(path)}: is no plain file; name a file that holds the key")
    if found.st_uid != os.geteuid():
        raise MasterKeyError(
            f"{shown(path)}: belongs to user {found.st_uid}, not to you ({os.geteuid()}); make a "
            "key file of your own"
        )
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise MasterKeyError(
            f"{shown(path)}: others may use it (mode {stat.S_IMODE(found.st_mode):04o}); "
            "run `chmod 600` on it, and rotate to a new key if it may have been read"
        )


def write_private(path: Path, content: bytes) -> None:
    """Make a file of mode 0600, durably.

    Raises
    ------
    MasterKeyError   if there is one already, or it cannot be made
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        raise MasterKeyError(
            f"{shown(path)}: cannot be made: {os.strerror(error.errno or 0)}; name a file that is "
            "not there yet, in a folder that is"
        ) from None
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
