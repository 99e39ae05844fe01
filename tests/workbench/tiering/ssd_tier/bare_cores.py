"""Cores of small stores on a simulated disk, for tests of the parts below the door."""

from __future__ import annotations

from tests.torture.stores import SMALL
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier.config import SsdTierConfig
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.index import Entry

STORE = b"0123456789abcdef"


def new_disk() -> SimDisk:
    """Return an empty disk on a clock that stands still."""
    return SimDisk(clock=VirtualClock())


def bare_core(
    disk: SimDisk, *rules: Fault, config: SsdTierConfig = SMALL, faults: Faults | None = None
) -> Core:
    """Return a core that has not been opened; the rules, or those of ``faults``, happen to it."""
    clock = VirtualClock()
    faults = faults or Faults(rules, seed=1)
    core = Core.of(config, FaultIO(disk, faults, clock), FaultFolder(disk, faults), clock)
    core.store = STORE
    return core


def key_of(number: int) -> bytes:
    """Return the 32-byte key of a number, with zeros in front."""
    return number.to_bytes(32, "big")


def entry_of(
    sequence: int, segment: int = 0, page: int = 1, stored_bytes: int = 100, flags: int = 0
) -> Entry:
    """Return an entry whose sum and attributes follow from its sequence."""
    checksum = sequence.to_bytes(16, "little")
    return Entry(segment, page, stored_bytes, flags, sequence, checksum, sequence * 3)


def bits_flipped(raw: bytes, n_bytes: int):
    """Yield copies of a page, each with another one of its first bytes' bits flipped."""
    for bit in range(n_bytes * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, changed


def page_of(raw: bytes) -> bytes:
    """Return bytes padded to a page with zeros."""
    return raw.ljust(PAGE_BYTES, b"\0")
