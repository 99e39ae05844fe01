"""Small stores on simulated and on real disks, and answers that say whose they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.torture.model import key_of, value_of
from tests.torture.stores import SMALL, TIGHT, open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig

# A shared disk may take its time, and no test here is about that.
REAL = replace(SMALL, read_deadline_s=60.0, write_deadline_s=60.0)
REAL_TIGHT = replace(TIGHT, read_deadline_s=60.0, write_deadline_s=60.0)

__all__ = [
    "REAL",
    "REAL_TIGHT",
    "SMALL",
    "TIGHT",
    "fill",
    "key_of",
    "open_small",
    "sim_disk",
    "value_of",
]


def sim_disk() -> SimDisk:
    """Return an empty disk on a clock of its own."""
    return SimDisk(clock=VirtualClock())


def fill(tier: SsdTier, n_blocks: int, n_bytes: int = 3000, version: int = 0) -> dict[bytes, bytes]:
    """Put blocks and return what was put."""
    blocks = {key_of(n): value_of(n, version, n_bytes) for n in range(n_blocks)}
    assert all(tier.put(key, value) for key, value in blocks.items())
    return blocks


def answers(tier: SsdTier, keys: dict[bytes, bytes]) -> dict[bytes, bytes | None]:
    """Return what a store answers for each key."""
    return {key: tier.get(key) for key in keys}


def wrong(tier: SsdTier, blocks: dict[bytes, bytes]) -> list[bytes]:
    """Return the keys that are answered with other bytes than those put; misses are none."""
    return [key for key, value in answers(tier, blocks).items() if value not in (None, blocks[key])]


@contextmanager
def real_store(folder: Path, config: SsdTierConfig = REAL) -> Iterator[SsdTier]:
    """Open a store in a folder of the file system, with the plain engine."""
    with SynchronousEngine() as engine, SsdTier.open(folder, config, engine) as tier:
        yield tier


def faulty(
    disk: SimDisk, *rules: Fault, config: SsdTierConfig = SMALL
) -> tuple[SsdTier, Faults, FaultIO, VirtualClock]:
    """Open a store on a disk whose calls go wrong by rules that are added once it is open."""
    clock = VirtualClock()
    faults = Faults(seed=1)
    engine = FaultIO(disk, faults, clock)
    tier = open_small(FaultFolder(disk, faults), engine, config, clock)
    for rule in rules:
        faults.add(rule)
    return tier, faults, engine, clock


def sha256_of(disk: SimDisk) -> dict[str, str]:
    """Return the sum of every file of a disk."""
    return {name: hashlib.sha256(disk.content(name)).hexdigest() for name in disk.names()}


def stat_bytes(folder: Path) -> int:
    """Return the bytes that a folder's files have, as the file system says."""
    return sum(entry.stat().st_size for entry in folder.iterdir())
