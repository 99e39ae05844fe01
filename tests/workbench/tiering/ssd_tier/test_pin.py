"""A pin kept outside a store tells an old copy of it from the store itself."""

from __future__ import annotations

import pytest

from tests.torture.model import key_of
from tests.torture.stores import SMALL
from tests.workbench.tiering.ssd_tier.faulty_store import UUID, block, open_faulty
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import Pin, SsdTier, StoreRolledBackError


def opened(disk: SimDisk, pin: Pin | None) -> SsdTier:
    """Open what is on a disk."""
    return SsdTier.open(disk, SMALL, disk, clock=VirtualClock(), pin=pin)


def test_a_pin_names_the_store_and_what_is_durable() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    pin = store.tier.pin()
    assert pin == Pin(UUID, store.core.durable_sequence)
    assert pin.sequence >= store.entry(1).sequence
    assert Pin(*tuple(pin)) == pin, "it can be kept as two plain values"


def test_a_consistent_old_copy_is_refused() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1, 0))
    store.tier.flush()
    old = store.disk.reopened()
    store.tier.put(key_of(1), block(1, 1))
    pin = store.tier.pin()
    with pytest.raises(StoreRolledBackError, match="older than its pin"):
        opened(old, pin)
    assert opened(old.reopened(), None).get(key_of(1)) == block(1, 0), "it was left as it was"


def test_the_store_itself_opens_with_its_pin_also_after_a_power_loss() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    pin = store.tier.pin()
    store.tier.put(key_of(2), block(2))
    for tier in (opened(store.disk.reopened(), pin), *store.after_power_loss(5)):
        assert tier.get(key_of(1)) == block(1)
    store.tier.close()
    assert opened(store.disk.reopened(), pin).get(key_of(2)) == block(2)


def test_another_store_or_an_empty_folder_is_refused() -> None:
    store = open_faulty()
    pin = Pin(b"f" * 16, 0)
    with pytest.raises(StoreRolledBackError):
        opened(store.disk.reopened(), pin)
    empty = SimDisk(clock=VirtualClock())
    with pytest.raises(StoreRolledBackError):
        opened(empty, pin)
    assert empty.names() == [], "a refused opening makes no files"


def test_a_pin_claims_nothing_that_a_failed_flush_did_not_make_durable() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    before = store.tier.pin()
    store.tier.put(key_of(2), block(2))
    store.fail(Fault("error", "sync", nth=1))
    assert store.tier.pin() == before
