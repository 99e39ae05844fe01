"""The thread flushes while there is something to flush, and ends when told."""

import threading
import time
from dataclasses import replace

from tests.torture.stores import SMALL
from workbench.tiering.async_io.clock import RealClock
from workbench.tiering.async_io.fault_io import FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.ssd_tier.flusher import Flusher


def test_it_flushes_while_there_is_something_to_flush() -> None:
    flushed = threading.Event()
    flusher = Flusher(flushed.set, lambda: True, RealClock(), 0.01)
    assert flushed.wait(10)
    flusher.stop()


def test_it_leaves_a_clean_store_alone() -> None:
    asked, flushed = threading.Event(), []

    def dirty() -> bool:
        asked.set()
        return False

    flusher = Flusher(lambda: flushed.append(1), dirty, RealClock(), 0.01)
    assert asked.wait(10)
    flusher.stop()
    assert flushed == []


def test_stopping_ends_the_thread() -> None:
    flusher = Flusher(lambda: None, lambda: False, RealClock(), 3600)
    flusher.stop()
    assert not any(thread.name == "ssd-tier-flush" for thread in threading.enumerate())


def test_stopping_waits_for_the_flush_under_way_and_no_other_follows() -> None:
    begun, go, done = threading.Event(), threading.Event(), []

    def flush() -> None:
        begun.set()
        assert go.wait(10)
        done.append(1)

    flusher = Flusher(flush, lambda: True, RealClock(), 0.01)
    assert begun.wait(10)
    stopper = threading.Thread(target=flusher.stop)
    stopper.start()
    assert stopper.is_alive()
    assert not done
    go.set()
    stopper.join(10)
    n_done = len(done)
    assert n_done >= 1
    time.sleep(0.05)
    assert len(done) == n_done


def until(tier: SsdTier, name: str, least: int) -> None:
    """Wait until a counter of a store has reached something."""
    for _ in range(1000):
        if getattr(tier.stats().counts, name) >= least:
            return
        time.sleep(0.01)
    raise AssertionError(f"{name} never reached {least}: {tier.stats()}")


def test_what_was_put_becomes_durable_without_a_call() -> None:
    disk = SimDisk()
    config = replace(SMALL, flush_every_s=0.02)
    with SsdTier.open(disk, config, disk) as tier:
        assert tier.put(bytes(32), b"x")
        until(tier, "flushes", 1)
        assert tier.stats().unflushed_bytes == 0
        assert tier.stats().durable_sequence > 0
        assert tier.stats().counts.flushes_failed == 0


def test_a_flush_that_fails_does_not_end_the_thread() -> None:
    disk, faults = SimDisk(), Faults()
    config = replace(SMALL, flush_every_s=0.02)
    with SsdTier.open(disk, config, FaultIO(disk, faults)) as tier:
        assert tier.put(bytes(32), b"x")
        until(tier, "flushes", 1)
        faults.add(Fault("error", "sync", nth=1, times=2))
        tier.put(bytes(32), b"y")
        until(tier, "flushes_failed", 1)
        flushes = tier.stats().counts.flushes
        # The faults may meet the opening of a segment too, whose put then fails.
        for version in range(5):
            tier.put(bytes(32), b"%d" % version)
        until(tier, "flushes", flushes + 1)
        assert not tier.stats().counts.flushes_failed > 2


def test_without_an_interval_there_is_no_thread_and_nothing_is_flushed() -> None:
    disk = SimDisk()
    before = threading.active_count()
    with SsdTier.open(disk, SMALL, disk) as tier:
        assert threading.active_count() == before
        tier.put(bytes(32), b"x")
        assert tier.stats().counts.flushes == 0
        assert tier.stats().unflushed_bytes > 0
