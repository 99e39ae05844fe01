"""Prepare a device and a page cache for measurement, and prove which is which.

Follows: one file a medium, so that buffered writes never lie in front of direct reads.
Leaves out: timing (storage_sweep.py); caches below the file system, which nothing here can see.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from workbench.benchmark import scratch_files
from workbench.benchmark.scratch_files import COLD_FRAC, MediumError
from workbench.tiering.async_io import residency
from workbench.tiering.async_io.synchronous import SynchronousEngine

__all__ = ["Medium", "MediumError", "MediumName", "open_media"]

MediumName = Literal["device", "page_cache"]

# The kernel takes clean pages back as it likes, 1 MiB at a time (0.8 % of a file was seen to go
# within a minute), and a median does not notice.
_WARM_FRAC = 0.95


@dataclass(slots=True)
class Medium:
    """One file, opened the way its medium is measured, with the evidence collected so far.

    Attributes
    ----------
    name : "device" or "page_cache"
    engine : SynchronousEngine   has the file open, and no other
    file : int                   its handle there
    resident_before, resident_after : list of float   0..1 by mincore, one entry a block size and
        direction, around the timing
    """

    name: MediumName
    path: Path
    engine: SynchronousEngine
    file: int
    resident_before: list[float] = field(default_factory=list)
    resident_after: list[float] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the file cold (device) or warm (page cache) and note what mincore says."""
        if self.name == "device":
            self.resident_before.append(residency.drop_cache(self.fileno()))
        else:
            self.resident_before.append(residency.warm(self.fileno()))

    def conclude(self) -> None:
        """Note what mincore says after the timing."""
        self.resident_after.append(residency.resident_frac(self.fileno()))

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self.engine.fileno(self.file)

    @property
    def direct(self) -> bool:
        """Return whether requests bypass the page cache."""
        return self.engine.is_direct(self.file)

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
        return before <= COLD_FRAC and (after <= COLD_FRAC or not self.direct)


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
    names: tuple[MediumName, MediumName] = ("device", "page_cache")
    with contextlib.ExitStack() as stack:
        sizes: dict[str, int] = dict.fromkeys(names, file_bytes)
        files = stack.enter_context(scratch_files.scratch_files(store, sizes, seed))
        device = _open_device(files["device"].path, direct)
        stack.callback(device.engine.close)
        cache = _open("page_cache", files["page_cache"].path, SynchronousEngine(direct=False))
        stack.callback(cache.engine.close)
        scratch_files.refuse_memory(store, device.fileno())
        for medium in (device, cache):
            scratch_files.verify(medium.engine, medium.file, files[medium.name], medium.name)
        yield device, cache


def _open(name: MediumName, path: Path, engine: SynchronousEngine) -> Medium:
    return Medium(name, path, engine, engine.open(path))


def _open_device(path: Path, direct: bool) -> Medium:
    medium = _open("device", path, SynchronousEngine(direct=direct))
    if medium.direct:
        return medium
    medium.engine.close()
    # Buffered writes would stay in memory; written through, they reach the device one by one.
    return _open("device", path, SynchronousEngine(direct=direct, write_through=True))
