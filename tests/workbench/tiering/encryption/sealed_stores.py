"""Sealed stores on simulated disks, headers to seal by hand, and a master key that is known."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.torture.stores import SMALL, open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.encryption.master_key import MasterKey
from workbench.tiering.encryption.sealing import StoreSealing
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.frame import Header, Kind
from workbench.tiering.ssd_tier.layout import KEYS
from workbench.tiering.ssd_tier.side_file import SideFile

MASTER_BYTES = hashlib.sha256(b"a master key that the tests know").digest()
MASTER = MasterKey(Secret(MASTER_BYTES))
OTHER = MasterKey(Secret(hashlib.sha256(b"another one").digest()))
TENANT = b"0123456789abcdef"


def new_disk() -> SimDisk:
    """Return an empty disk on a clock that stands still."""
    return SimDisk(clock=VirtualClock())


def open_sealed(
    disk: SimDisk, config: SsdTierConfig = SMALL, master: MasterKey = MASTER
) -> tuple[SsdTier, StoreSealing]:
    """Open a small sealed store, and return what it is sealed with too."""
    sealing = StoreSealing(master)
    return open_small(disk, disk, config, sealing=sealing), sealing


def unlocked(master: MasterKey = MASTER) -> StoreSealing:
    """Return a sealing with keys of its own, for headers by hand."""
    sealing = StoreSealing(master)
    sealing.unlock(side_file(new_disk()), None)
    return sealing


def side_file(disk: SimDisk) -> SideFile:
    """Return the file of a disk that holds the keys."""
    return SideFile(disk, disk, KEYS)


def real_store(folder: Path, config: SsdTierConfig, sealing: StoreSealing) -> SsdTier:
    """Open a sealed store in a folder of the file system, with the plain engine."""
    return SsdTier.open(folder, config, SynchronousEngine(), sealing=sealing)


def header_of(number: int = 1, n_bytes: int = 5000, **changed: object) -> Header:
    """Return a block's header before it is sealed, each number another place and key."""
    header = Header(
        kind=Kind.BLOCK,
        codec=7,
        store=b"fedcba9876543210",
        segment=number // 8,
        page=1 + number % 8,
        epoch=100 + number // 8,
        sequence=1000 + number,
        durable=999,
        key=hashlib.sha256(b"key %d" % number).digest(),
        fingerprint=b"f" * 32,
        tenant=TENANT,
        plain_bytes=2 * n_bytes,
        stored_bytes=n_bytes,
        checksum=bytes(16),
    )
    return header._replace(**changed)  # type: ignore[arg-type]


def plain_of(number: int, n_bytes: int = 5000) -> bytes:
    """Return bytes that no other number has."""
    return hashlib.shake_128(b"plain %d" % number).digest(n_bytes)


def sealed(sealing: StoreSealing, header: Header, plain: bytes) -> tuple[Header, bytearray]:
    """Seal some bytes under a header; return the whole header and what is stored."""
    sealing.keys.key_or_new(header.tenant)
    stored = bytearray(len(plain))
    header = header._replace(content=sealing.mark(header.tenant, header.key, memoryview(plain)))
    seal = sealing.seal(header, memoryview(plain), memoryview(stored))
    return header._replace(seal=seal), stored
