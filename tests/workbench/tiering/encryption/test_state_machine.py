"""Any sequence of operations, restarts, crashes, rotations, purges gives only allowed answers."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from tests.torture.model import Model, key_of
from tests.workbench.tiering.encryption.sealed_stores import MASTER, OTHER, new_disk
from tests.workbench.tiering.ssd_tier.test_state_machine import CONFIG, N_KEYS, StoreMachine
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.sealing import StoreSealing
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.ssd_tier.frame import TENANT_BYTES


class SealedMachine(StoreMachine):
    """The same store, sealed; damage is left to other tests."""

    purged = rotated = 0

    @initialize()
    def begin(self) -> None:
        self.rots = False
        self.model, self.version = Model(), 0
        self.master, self.former = MASTER, OTHER
        for number in range(N_KEYS):
            self.model[key_of(number)]
        self.open(new_disk())

    @rule()
    def rotate(self) -> None:
        self.sealing.rotate(self.former)
        self.master, self.former = self.former, self.master
        SealedMachine.rotated += 1
        with pytest.raises(KeyTableError):
            self.open_with(self.former)

    @rule()
    def purge(self) -> None:
        """Everything that was stored is gone, for good, whatever is still on disk."""
        if not self.sealing.keys.purge(bytes(TENANT_BYTES), self.master):
            return
        SealedMachine.purged += 1
        for number in range(N_KEYS):
            allowed = self.model[key_of(number)]
            allowed.live, allowed.durable, allowed.pending = {None}, {None}, []

    def open(self, disk: SimDisk) -> None:
        self.disk = disk
        self.evicted = 0
        self.open_with(self.master)
        self.settle()
        keys = self.model.keys()
        answers = [(key, self.tier.get(key)) for key in keys]
        problems = [self.model.got(key, value) for key, value in answers]
        assert not any(problems), problems
        self.model.reopened(answers)

    def open_with(self, master) -> None:
        sealing = StoreSealing(master)
        self.tier = SsdTier.open(self.disk, CONFIG, self.disk, sealing=sealing)
        self.sealing = sealing

    @invariant()
    def is_sound(self) -> None:
        if hasattr(self, "tier"):
            counts = self.tier.stats().counts
            assert counts.hits + counts.misses == counts.lookups
            assert self.tier.stats().disk_bytes <= CONFIG.capacity_bytes

    def teardown(self) -> None:
        if hasattr(self, "tier"):
            self.tier.check()


@pytest.mark.timeout(600)
def test_any_sequence_of_operations() -> None:
    run_state_machine_as_test(
        SealedMachine,
        settings=settings(
            max_examples=12,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert SealedMachine.rotated > 10
    assert SealedMachine.purged > 10
