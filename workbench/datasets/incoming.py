"""The data folder's waiting room: partial files, a lock a data set, the step to the final name.

Follows: write aside, verify, fsync, rename.
Leaves out: where the bytes come from (getting.py).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench import paths
from workbench.datasets.checksum import check, remember
from workbench.datasets.manifest import DataFile, DataSet
from workbench.datasets.progress import Progress
from workbench.errors import DataError

SPARE_BYTES = 64 << 20  # left free on the disk beside what is fetched


def part_path(sha256: str, kind: str = "part") -> Path:
    """Return where the unfinished bytes of a file lie; named by what they are to become."""
    return _folder() / f"{sha256[:16]}.{kind}"


def _folder() -> Path:
    folder = paths.data() / ".incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(data_set: DataSet, progress: Progress) -> Iterator[None]:
    """Hold the data set's lock; the operating system lets go of it when a process dies."""
    with (_folder() / f"{data_set.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"{data_set.name}: another process is fetching it, waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require_space(n_bytes: int) -> None:
    """Refuse before the first byte what would fill the disk.

    Raises
    ------
    DataError   naming what is needed and what is free.
    """
    free_bytes = shutil.disk_usage(_folder()).free
    if free_bytes < n_bytes + SPARE_BYTES:
        raise DataError(
            f"{paths.shown(paths.data())} needs {n_bytes / 1e6:,.0f} MB"
            f" and {SPARE_BYTES / 1e6:,.0f} MB to spare, {free_bytes / 1e6:,.0f} MB are free\n"
            "fix: make room, or name a folder on another disk by WORKBENCH_DATA"
        )


def publish(data_set: DataSet, file: DataFile, part: Path) -> None:
    """Check the part and give it its final name, which appears only with every byte on disk.

    Raises
    ------
    DataError   if the part is not what the manifest says; it is gone then.
    """
    try:
        check(file, part)
    except DataError:
        part.unlink()
        raise
    final = paths.data() / file.path
    final.parent.mkdir(parents=True, exist_ok=True)
    _sync(part)
    os.replace(part, final)
    _sync(final.parent)
    remember(data_set, file)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
