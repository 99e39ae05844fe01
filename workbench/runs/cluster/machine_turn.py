"""Let one run at a time measure on a machine, whichever workers it has.

Follows: a lock of the file system, which the kernel releases when its holder is killed.
Leaves out: workers in containers that share no temporary folder, and runs that no worker makes
(registry.measuring_now sees those of the same registry).
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.runs.stop import Stop

_NAME = "workbench-measuring.lock"
_LOOK_S = 0.2


@contextmanager
def my_turn(stop: Stop) -> Iterator[None]:
    """Wait until no other worker of this machine measures, or until its user stops it."""
    # Read-only and not through a link: the file may be another user's, in a folder for everyone.
    flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(Path(tempfile.gettempdir(), _NAME), flags, 0o644)
    try:
        while not _locked(handle) and not stop.soon.wait(_LOOK_S):
            pass
        yield
    finally:
        os.close(handle)  # and with it the lock


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
