"""Small stores on a simulated disk, and ways to look into them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.torture.stores import SMALL, open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.core import Core


@dataclass
class Bench:
    """A store on a disk that can fail, and everything beneath it."""

    tier: SsdTier
    disk: SimDisk
    engine: FaultIO
    faults: Faults
    clock: VirtualClock

    @property
    def core(self) -> Core:
        return self.tier._core

    def fail(self, kind: str, op: str, nth: int = 1, **more: object) -> None:
        """Let the N-th call from now on go wrong."""
        self.faults.add(Fault(kind, op=op, nth=nth, **more))  # type: ignore[arg-type]

    def killed(self) -> SsdTier:
        """Return the store as the next process finds it if this one ends now."""
        disk = self.disk.reopened()
        return open_small(disk, disk, self.core.config)


def bench_of(config: SsdTierConfig = SMALL) -> Bench:
    clock = VirtualClock()
    disk, faults = SimDisk(clock=clock), Faults()
    engine = FaultIO(disk, faults, clock)
    tier = open_small(FaultFolder(disk, faults), engine, config, clock)
    return Bench(tier, disk, engine, faults, clock)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = bench_of()
    yield made
    made.faults.clear()
    made.engine.release()
    made.tier.close()


@pytest.fixture
def core(bench: Bench) -> Core:
    return bench.core
