"""Make files of random bytes on the disk to measure, and remove them whatever happens.

Follows: nothing that a device could compress or deduplicate; touched and flushed before any timing.
Leaves out: opening them (engines) and proving where reads came from (device_watch.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from workbench.errors import WorkbenchError
from workbench.paths import shown
from workbench.tiering.async_io import residency
from workbench.tiering.async_io.buffers import aligned_buffer, fill_random
from workbench.tiering.async_io.engine import Request, check_all
from workbench.tiering.async_io.real_files import RealFiles

# A cold file may keep a stray page.
COLD_FRAC = 0.01

_MIB = 1 << 20
_MARGIN_BYTES = 64 * _MIB
_PREFIX = ".storage-sweep-"


class MediumError(WorkbenchError):
    """The store folder cannot be measured as what it is asked to be."""


@dataclass(frozen=True, slots=True)
class ScratchFile:
    """A file of seeded random bytes, flushed; ``checksum`` is their CRC-32."""

    path: Path
    n_bytes: int
    checksum: int


@contextlib.contextmanager
def scratch_files(
    store: Path, sizes: Mapping[str, int], seed: int
) -> Iterator[dict[str, ScratchFile]]:
    """Make and fill one file a name; remove them in the end.

    Parameters
    ----------
    store : Path               folder on the disk to measure; created if missing
    sizes : mapping            name -> bytes, multiples of 1 MiB
    seed : int                 of the content, which differs from file to file

    Raises
    ------
    MediumError   if there is no room

    Cost    writes and flushes every file: about 1 s per GiB plus the disk's time.
    """
    store.mkdir(parents=True, exist_ok=True)
    remove_leftovers(store)
    check_space(store, sum(sizes.values()))
    paths = {name: store / f"{_PREFIX}{os.getpid()}-{name}.bin" for name in sizes}
    with contextlib.ExitStack() as stack:
        for path in paths.values():
            stack.callback(path.unlink, missing_ok=True)
        yield {
            name: ScratchFile(path, sizes[name], fill(path, sizes[name], [seed, i]))
            for i, (name, path) in enumerate(paths.items())
        }


@contextlib.contextmanager
def scratch_folder(store: Path, name: str, needed_bytes: int) -> Iterator[Path]:
    """Make an empty folder for a store of its own; remove it with all that is in it in the end.

    Raises
    ------
    MediumError   if there is no room for ``needed_bytes``
    """
    store.mkdir(parents=True, exist_ok=True)
    remove_leftovers(store)
    check_space(store, needed_bytes)
    folder = store / f"{_PREFIX}{os.getpid()}-{name}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_space(store: Path, needed_bytes: int) -> None:
    """Raise MediumError unless the disk has room for so many bytes and some to spare."""
    free_bytes = shutil.disk_usage(store).free
    if free_bytes < needed_bytes + _MARGIN_BYTES:
        raise MediumError(
            f"{shown(store)}: {free_bytes / _MIB:,.0f} MiB are free, "
            f"{(needed_bytes + _MARGIN_BYTES) / _MIB:,.0f} MiB are needed for the test files; "
            "free some space, take a smaller preset or another store folder"
        )


def remove_leftovers(store: Path) -> None:
    """Remove what processes left that were killed before they could."""
    for path in store.glob(f"{_PREFIX}*"):
        pid, dash, _ = path.name.removeprefix(_PREFIX).partition("-")
        if not (dash and pid.isdigit()) or psutil.pid_exists(int(pid)):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def fill(path: Path, n_bytes: int, seed: Sequence[int]) -> int:
    """Write whole MiB of seeded random bytes, flush them, and return their checksum."""
    rng = np.random.default_rng(list(seed))
    chunk = aligned_buffer(_MIB)
    checksum = 0
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(n_bytes // _MIB):
                fill_random(chunk, rng)
                checksum = zlib.crc32(chunk, checksum)
                file.write(chunk)
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise MediumError(
            f"{shown(path.parent)}: the disk filled up while {n_bytes / _MIB:,.0f} MiB were "
            "written; free some space, take a smaller preset or another store folder"
        ) from error
    return checksum


def refuse_memory(store: Path, fd: int) -> None:
    """Refuse a file system that cannot let go of pages: it accepts O_DIRECT and has no device."""
    kept = residency.drop_cache(fd)
    if kept > COLD_FRAC and hasattr(os, "posix_fadvise"):
        raise MediumError(
            f"{shown(store)}: {kept:.0%} of a file stays in memory after its cache was dropped, "
            "so this is a memory file system (tmpfs?) or a cache that cannot be emptied; "
            "choose a store folder on a disk"
        )


def verify(engine: RealFiles, handle: int, file: ScratchFile, medium: str = "device") -> None:
    """Read a file once through an engine that has it open and compare with what was written.

    Raises
    ------
    MediumError   if other bytes come back
    """
    block = aligned_buffer(_MIB)
    found = 0
    for offset in range(0, file.n_bytes, _MIB):
        check_all(engine.submit([Request("read", handle, offset, block)]))
        found = zlib.crc32(block, found)
    if found != file.checksum:
        raise MediumError(
            f"{shown(file.path)}: the {medium} gave back other bytes than were written; "
            "do not store anything there, check the disk"
        )
