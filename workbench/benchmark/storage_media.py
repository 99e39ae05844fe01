"""Prepare a device and a page cache for measurement, and prove which is which.

Follows: one file a medium, so that buffered writes never lie in front of direct reads.
Leaves out: timing (storage_sweep.py); caches below the file system, which nothing here can see.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import psutil

from workbench.errors import WorkbenchError
from workbench.paths import shown
from workbench.tiering.async_io import residency
from workbench.tiering.async_io.buffers import aligned_buffer, fill_random, split
from workbench.tiering.async_io.engine import Request, check_all
from workbench.tiering.async_io.synchronous import SynchronousEngine

MediumName = Literal["device", "page_cache"]

_MIB = 1 << 20
_MARGIN_BYTES = 64 * _MIB
_PREFIX = ".storage-sweep-"
# A cold file may keep a stray page. The kernel takes clean pages back as it likes, 1 MiB at a time
# (0.8 % of a file was seen to go within a minute), and a median does not notice.
_COLD_FRAC = 0.01
_WARM_FRAC = 0.95


class MediumError(WorkbenchError):
    """The store folder cannot be measured as what it is asked to be."""


@dataclass(slots=True)
class Medium:
    """One file, opened the way its medium is measured, with the evidence collected so far.

    Attributes
    ----------
    name : "device" or "page_cache"
    engine : SynchronousEngine   open on the file
    resident_before, resident_after : list of float   0..1 by mincore, one entry a block size and
        direction, around the timing
    """

    name: MediumName
    path: Path
    engine: SynchronousEngine
    resident_before: list[float] = field(default_factory=list)
    resident_after: list[float] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the file cold (device) or warm (page cache) and note what mincore says."""
        if self.name == "device":
            self.resident_before.append(residency.drop_cache(self.engine.fileno()))
        else:
            self.resident_before.append(residency.warm(self.engine.fileno()))

    def conclude(self) -> None:
        """Note what mincore says after the timing."""
        self.resident_after.append(residency.resident_frac(self.engine.fileno()))

    def worst(self, fractions: list[float]) -> float:
        """Return the fraction that speaks most against this medium."""
        return max(fractions) if self.name == "device" else min(fractions)

    @property
    def proven(self) -> bool:
        """Return whether mincore bore the medium out around every timing."""
        before, after = self.worst(self.resident_before), self.worst(self.resident_after)
        if self.name == "page_cache":
            return min(before, after) >= _WARM_FRAC
        # Without O_DIRECT the reads themselves fill the cache; each sample starts cold instead.
        return before <= _COLD_FRAC and (after <= _COLD_FRAC or not self.engine.direct)


@contextlib.contextmanager
def open_media(
    store: Path, file_bytes: int, seed: int, direct: bool = True
) -> Iterator[tuple[Medium, Medium]]:
    """Create, fill and open the device's and the page cache's file; remove both in the end.

    Parameters
    ----------
    store : Path       folder on the disk to measure; created if missing
    file_bytes : int   size of each of the two files, a multiple of 1 MiB
    seed : int         of the files' content
    direct : bool      False measures the device by cold buffered reads and write-through writes

    Raises
    ------
    MediumError   if there is no room, the folder lies in memory, or bytes come back changed

    Cost    writes, reads back and flushes both files: about 1 s per GiB each plus the disk's time.
    """
    store.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(store)
    _check_space(store, 2 * file_bytes)
    names: tuple[MediumName, MediumName] = ("device", "page_cache")
    paths = [store / f"{_PREFIX}{os.getpid()}-{name}.bin" for name in names]
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.callback(path.unlink, missing_ok=True)
        checksums = [_fill(path, file_bytes, [seed, i]) for i, path in enumerate(paths)]
        device = Medium("device", paths[0], _open_device(paths[0], direct))
        stack.callback(device.engine.close)
        cache = Medium("page_cache", paths[1], SynchronousEngine(paths[1], direct=False))
        stack.callback(cache.engine.close)
        _refuse_memory(store, device)
        for medium, checksum in zip((device, cache), checksums, strict=True):
            _verify(medium, file_bytes, checksum)
        yield device, cache


def _open_device(path: Path, direct: bool) -> SynchronousEngine:
    engine = SynchronousEngine(path, direct=direct)
    if engine.direct:
        return engine
    engine.close()
    # Buffered writes would stay in memory; written through, they reach the device one by one.
    return SynchronousEngine(path, direct=direct, write_through=True)


def _check_space(store: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(store).free
    if free_bytes < needed_bytes + _MARGIN_BYTES:
        raise MediumError(
            f"{shown(store)}: {free_bytes / _MIB:,.0f} MiB are free, "
            f"{(needed_bytes + _MARGIN_BYTES) / _MIB:,.0f} MiB are needed for the two test files; "
            "free some space, take a smaller preset or another store folder"
        )


def _remove_leftovers(store: Path) -> None:
    """Remove the files of sweeps that were killed before they could."""
    for path in store.glob(f"{_PREFIX}*.bin"):
        pid = path.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            path.unlink(missing_ok=True)


def _fill(path: Path, file_bytes: int, seed: list[int]) -> int:
    """Write seeded random bytes, flush them, and return their checksum."""
    rng = np.random.default_rng(seed)
    chunk = aligned_buffer(_MIB)
    checksum = 0
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(file_bytes // _MIB):
                fill_random(chunk, rng)
                checksum = zlib.crc32(chunk, checksum)
                file.write(chunk)
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise MediumError(
            f"{shown(path.parent)}: the disk filled up while {file_bytes / _MIB:,.0f} MiB were "
            "written; free some space, take a smaller preset or another store folder"
        ) from error
    return checksum


def _refuse_memory(store: Path, device: Medium) -> None:
    """Refuse a file system that cannot let go of pages: it accepts O_DIRECT and has no device."""
    kept = residency.drop_cache(device.engine.fileno())
    if kept > _COLD_FRAC and hasattr(os, "posix_fadvise"):
        raise MediumError(
            f"{shown(store)}: {kept:.0%} of a file stays in memory after its cache was dropped, "
            "so this is a memory file system (tmpfs?) or a cache that cannot be emptied; "
            "choose a store folder on a disk"
        )


def _verify(medium: Medium, file_bytes: int, checksum: int) -> None:
    """Read the file once through its own engine and compare it with what was written."""
    blocks = split(aligned_buffer(_MIB), _MIB)
    found = 0
    for offset in range(0, file_bytes, _MIB):
        check_all(medium.engine.submit([Request("read", offset, blocks[0])]))
        found = zlib.crc32(blocks[0], found)
    if found != checksum:
        raise MediumError(
            f"{shown(medium.path)}: the {medium.name} gave back other bytes than were written; "
            "do not store anything there, check the disk"
        )
