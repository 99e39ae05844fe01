"""Look at the folder whose disk is measured: what it is, how much it holds, how it reads.

Follows: the seed report's lesson that a page cache is easily taken for an SSD.
Leaves out: measuring it properly (benchmark/storage_sweep.py); one read is a sign of life.
"""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from workbench import paths
from workbench.benchmark.machine import identify
from workbench.runs.doctor.finding import Checks, Finding, ok, warn
from workbench.tiering.async_io.buffers import aligned_buffer, fill_random, split
from workbench.tiering.async_io.engine import PAGE_BYTES, Request, check_all
from workbench.tiering.async_io.synchronous import SynchronousEngine

IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
REMOTE = ("nfs", "cifs", "smb", "fuse", "9p", "virtiofs", "afs", "ceph")
ROOM_BYTES = 4 << 30  # day01's full preset takes two files of 2 GiB
READ_MIB = 64
SLOW_GB_S = 0.1
ELSEWHERE = "choose a folder on a local disk: -p store=FOLDER"


def filesystem(folder: Path) -> Finding:
    """Check that the store folder lies on a local disk; makes it if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = identify(folder)
    found = f"{paths.shown(folder)}: {machine.filesystem} on {machine.disk_model}"
    if machine.filesystem in IN_MEMORY:
        return warn(f"{found}, which is memory", ELSEWHERE)
    if machine.filesystem.startswith(REMOTE):
        return warn(f"{found}, which may be another machine's disk", ELSEWHERE)
    return ok(found)


def free_space(folder: Path) -> Finding:
    """Check that the largest preset fits."""
    free_bytes = shutil.disk_usage(folder).free
    found = f"{free_bytes / 2**30:,.1f} GiB"
    if free_bytes < ROOM_BYTES:
        return warn(found, f"{ROOM_BYTES >> 30} GiB are needed for --preset full")
    return ok(found)


def direct_io(folder: Path) -> Finding:
    """Check that files can be read past the page cache."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(bytes(PAGE_BYTES))
        file.flush()
        with SynchronousEngine() as engine:
            handle = engine.open(Path(file.name))
            check_all(engine.submit([Request("read", handle, 0, aligned_buffer(PAGE_BYTES))]))
            stats = engine.stats()
    how = "F_NOCACHE" if sys.platform == "darwin" else "O_DIRECT"
    if not stats.direct:
        return warn(f"{how} is refused: {stats.fallback_reason}", ELSEWHERE)
    return ok(f"{how} works")


def page_size(n_bytes: int = mmap.PAGESIZE) -> Finding:
    """Check that memory pages are the pages that device I/O is counted in."""
    if n_bytes != PAGE_BYTES:
        found = f"{n_bytes // 1024} KiB of memory, 4 KiB of I/O"
        return warn(found, "none needed; small blocks cost more on this machine")
    return ok("4 KiB")


def solid_state(folder: Path) -> Finding:
    """Check that the disk has no moving parts, where the system says so."""
    rotational = _rotational(folder)
    if rotational is None:
        return ok("the system does not say")
    if rotational:
        found = "the disk calls itself rotational (virtual disks often do)"
        return warn(found, f"none if it is virtual; else {ELSEWHERE}")
    return ok("not rotational")


def _rotational(folder: Path) -> bool | None:
    number = folder.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not block.exists():
        return None
    disk = block.resolve()
    disk = disk.parent if (disk / "partition").exists() else disk
    said = disk / "queue" / "rotational"
    return said.read_text(encoding="ascii").strip() == "1" if said.exists() else None


def read(folder: Path) -> Finding:
    """Write 64 MiB, read them back past the page cache in blocks of 1 MiB, and time that."""
    n_bytes = READ_MIB << 20
    buffer = aligned_buffer(n_bytes)
    fill_random(buffer, np.random.default_rng(0))
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(buffer)
        file.flush()
        os.fsync(file.fileno())
        with SynchronousEngine() as engine:
            handle = engine.open(Path(file.name), writable=False)
            blocks = enumerate(split(buffer, 1 << 20))
            done = engine.submit([Request("read", handle, n << 20, block) for n, block in blocks])
            direct = engine.is_direct(handle)
    check_all(done)
    gb_s = n_bytes / sum(one.took_ns for one in done)
    medium = "device" if direct else "page cache"
    found = f"{READ_MIB} MiB at {gb_s:.2f} GB/s from the {medium}"
    if gb_s < SLOW_GB_S:
        return warn(f"{found}, slow for an SSD", ELSEWHERE)
    return ok(found)


def checks(folder: Path) -> Checks:
    """Return the checks of one store folder."""
    return {
        "store": partial(filesystem, folder),
        "free space": partial(free_space, folder),
        "direct I/O": partial(direct_io, folder),
        "page size": page_size,
        "SSD": partial(solid_state, folder),
        "read": partial(read, folder),
    }
