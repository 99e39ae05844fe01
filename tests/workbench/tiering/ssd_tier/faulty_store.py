"""A small store on a simulated disk whose calls can go wrong, with all its parts in reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tests.torture.model import key_of
from tests.torture.stores import SMALL, open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.counters import Counts
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.layout import segment_name
from workbench.tiering.ssd_tier.opening import open_store

UUID = b"0123456789abcdef"


class FaultyStore(NamedTuple):
    """One open store; ``faults`` is empty until a test adds some."""

    clock: VirtualClock
    disk: SimDisk
    faults: Faults
    engine: FaultIO
    core: Core
    tier: SsdTier

    def fail(self, *rules: Fault) -> None:
        """Let calls go wrong from now on."""
        for rule in rules:
            self.faults.add(rule)

    @property
    def counts(self) -> Counts:
        """Return the store's counters."""
        return self.core.counters.read()

    def entry(self, number: int) -> Entry:
        """Return where block ``number`` lies; it must be there."""
        entry = self.core.index.get(key_of(number))
        assert entry is not None
        return entry

    def place(self, number: int) -> tuple[str, int]:
        """Return the file and the byte offset of a block's frame."""
        entry = self.entry(number)
        return segment_name(entry.segment), entry.page * PAGE_BYTES

    def n_reads(self) -> int:
        """Return how many reads the device was asked for."""
        return self.faults.calls["read"]

    def killed(self) -> SsdTier:
        """Return the store as another process finds it after this one was killed."""
        disk = self.disk.reopened()
        return open_small(disk, disk, self.core.config)

    def after_power_loss(self, n: int, seed: int = 1) -> list[SsdTier]:
        """Return the store after ``n`` power losses at this very moment."""
        rng = np.random.default_rng(seed)
        images = self.disk.crash_images(rng, n, since=self.disk.position)
        return [open_small(disk, disk, self.core.config) for disk in images]


def open_faulty(
    config: SsdTierConfig = SMALL, rules: Sequence[Fault] = (), seed: int = 1
) -> FaultyStore:
    """Make a new store and return it with its parts."""
    clock = VirtualClock()
    disk = SimDisk(clock=clock)
    faults = Faults(rules, seed)
    engine = FaultIO(disk, faults, clock)
    core = Core.of(config, engine, FaultFolder(disk, faults), clock)
    open_store(core, lambda: UUID, None)
    return FaultyStore(clock, disk, faults, engine, core, SsdTier(core, None, []))


def block(number: int, version: int = 0, n_bytes: int = 5000) -> bytes:
    """Return bytes that no other block and no other version has."""
    return np.random.default_rng([number, version]).bytes(n_bytes)
