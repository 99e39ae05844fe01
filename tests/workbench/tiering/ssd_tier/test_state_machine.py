"""Any sequence of operations, restarts, crashes and damage gives only allowed answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.torture.model import Model, key_of, value_of
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig

N_KEYS = 8
# Eight blocks of five pages at most are half of five segments: nothing need ever be evicted.
CONFIG = SsdTierConfig(
    capacity_bytes=7 * 16 * PAGE_BYTES,
    segment_bytes=16 * PAGE_BYTES,
    max_blocks=40,
    flush_every_s=None,
    snapshot_every_segments=3,
    pool_bytes=1 << 20,
)
# As large as a block may be: two of them fill a segment, and the store has six.
FILLING_BYTES, N_FILLING = 5 * PAGE_BYTES, 16
numbers = st.integers(0, N_KEYS - 1)
lengths = st.sampled_from([0, 1, 100, 4095, 4096, 4097, 9000, 16384])
seeds = st.integers(0, 2**32 - 1)


class StoreMachine(RuleBasedStateMachine):
    """One store on a simulated disk beside a model of what it may answer."""

    # Of all runs together.
    steps = 0

    @initialize(rots=st.booleans())
    def begin(self, rots: bool) -> None:
        # Where anything may be damaged, nearly any miss is right: half of the runs stay whole.
        self.rots = rots
        # What the invariant sees first is no step yet.
        StoreMachine.steps -= 1
        self.disk = SimDisk(clock=VirtualClock())
        self.model = Model()
        self.version = 0
        self.evicted = 0
        self.tier = SsdTier.open(self.disk, CONFIG, self.disk)
        for number in range(N_KEYS):
            self.model[key_of(number)]

    def settle(self) -> None:
        """Let the model know of evictions, which the store may make at any time."""
        evicted = self.tier.stats().counts.blocks_evicted
        if evicted != self.evicted:
            self.model.forgot()
            self.evicted = evicted

    @rule(number=numbers, n_bytes=lengths)
    def put(self, number: int, n_bytes: int) -> None:
        self.version += 1
        value = value_of(number, self.version, n_bytes)
        assert self.tier.put(key_of(number), value)
        self.settle()
        self.model.put(key_of(number), value, stored=True)

    @rule(number=numbers)
    def get(self, number: int) -> None:
        problem = self.model.got(key_of(number), self.tier.get(key_of(number)))
        assert not problem, problem

    @rule()
    def get_many(self) -> None:
        keys = [key_of(number) for number in range(N_KEYS)]
        for key, value in zip(keys, self.tier.get_many(keys), strict=True):
            problem = self.model.got(key, None if value is None else bytes(value))
            assert not problem, problem

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        self.tier.delete(key_of(number))
        self.settle()
        self.model.deleted(key_of(number))

    @rule()
    def flush(self) -> None:
        assert self.tier.flush()
        self.model.flushed(good=True)

    @rule()
    def evict(self) -> None:
        """Fill the store with other blocks until every segment was reclaimed."""
        before = self.epochs()
        for number in range(N_KEYS, N_KEYS + N_FILLING):
            self.version += 1
            self.tier.put(key_of(number), value_of(number, self.version, FILLING_BYTES))
        assert not before & self.epochs() or self.model.damaged
        for number in range(N_KEYS, N_KEYS + N_FILLING):
            self.tier.delete(key_of(number))
        self.settle()

    def epochs(self) -> set[int]:
        """Return the numbers of the segments' lives."""
        return {segment.epoch for segment in self.tier._core.table.segments}

    @rule()
    def close_and_open(self) -> None:
        self.tier.close()
        self.model.flushed(good=True)
        self.open(self.disk.reopened())

    @rule()
    def kill(self) -> None:
        self.model.killed()
        self.open(self.disk.reopened())

    @rule(seed=seeds)
    def lose_power(self, seed: int) -> None:
        self.model.lost_power()
        rng = np.random.default_rng(seed)
        (image,) = self.disk.crash_images(rng, 1, since=self.disk.position)
        self.open(image)

    @rule(seed=seeds)
    def lose_index(self, seed: int) -> None:
        """A killed process, and its snapshot lost too."""
        self.model.killed()
        disk = self.disk.reopened()
        if "index" in disk.names():
            disk.remove("index")
        self.open(disk)

    @precondition(lambda self: self.rots)
    @rule(seed=seeds)
    def corrupt(self, seed: int) -> None:
        """Flip one bit of any file."""
        rng = np.random.default_rng(seed)
        names = self.disk.names()
        name = names[int(rng.integers(len(names)))]
        at = int(rng.integers(self.disk.size(name)))
        byte = self.disk.content(name)[at] ^ (1 << int(rng.integers(8)))
        self.disk.rot(name, at, bytes([byte]))
        self.model.damaged = True

    def open(self, disk: SimDisk) -> None:
        self.disk = disk
        self.tier = SsdTier.open(disk, CONFIG, disk)
        self.evicted = 0
        self.settle()
        keys = self.model.keys()
        answers = [(key, self.tier.get(key)) for key in keys]
        problems = [self.model.got(key, value) for key, value in answers]
        assert not any(problems), problems
        self.model.reopened(answers)

    @invariant()
    def is_sound(self) -> None:
        if not hasattr(self, "tier"):
            return
        StoreMachine.steps += 1
        stats = self.tier.stats()
        counts = stats.counts
        assert counts.hits + counts.misses == counts.lookups
        assert stats.disk_bytes == sum(self.disk.size(name) for name in self.disk.names())
        assert stats.disk_bytes <= CONFIG.capacity_bytes

    def teardown(self) -> None:
        if hasattr(self, "tier"):
            report = self.tier.check()
            assert report.sound or self.model.damaged, report


# A minute on an idle machine, four on one that has eight other jobs.
@pytest.mark.timeout(900)
def test_any_sequence_of_operations() -> None:
    # Hypothesis makes some runs shorter than asked for: about 87 to 94 steps each.
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=250,
            stateful_step_count=100,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert StoreMachine.steps >= 20_000
