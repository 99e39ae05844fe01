"""A store's keys: made once, given back, erased, and wrapped anew without losing any."""

import numpy as np
import pytest

from tests.workbench.tiering.encryption.sealed_stores import MASTER, OTHER, new_disk, side_file
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.encryption import store_keys
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.store_keys import StoreKeys
from workbench.tiering.ssd_tier.sealing import SealError
from workbench.tiering.ssd_tier.side_file import SideFile
from workbench.tiering.tenant import tenant_tag

A, B = b"a" * 16, b"b" * 16


@pytest.fixture
def disk():
    return new_disk()


@pytest.fixture
def keys(disk):
    return StoreKeys.create(side_file(disk), MASTER)


def again(disk, master=MASTER):
    return StoreKeys.load(side_file(disk), master)


def test_nothing_there_is_no_keys(disk):
    assert again(disk) is None


def test_keys_survive_a_restart_and_differ_by_tenant(disk, keys):
    a, b = keys.key_or_new(A).reveal(), keys.key_or_new(B).reveal()
    assert len({a, b}) == 2
    assert keys.key_or_new(A).reveal() == keys.key(A).reveal() == a
    loaded = again(disk)
    assert (loaded.key(A).reveal(), loaded.key(B).reveal()) == (a, b)
    assert (loaded.id, loaded.tags()) == (keys.id, [A, B])


def test_two_stores_have_nothing_in_common(keys):
    other = StoreKeys.create(side_file(new_disk()), MASTER)
    assert other.id != keys.id
    assert other.key_or_new(A).reveal() != keys.key_or_new(A).reveal()
    assert other.tenant("me").secret.reveal() != keys.tenant("me").secret.reveal()


def test_a_tenant_by_name_is_the_same_one_after_a_restart(disk, keys):
    me, you = keys.tenant("me"), keys.tenant("you")
    assert me.tag == tenant_tag(me.secret.reveal())
    assert me.tag != you.tag
    assert keys.find("me") == me.tag
    assert keys.find("nobody") is None
    loaded = again(disk).tenant("me")
    assert (loaded.tag, loaded.secret.reveal()) == (me.tag, me.secret.reveal())
    assert b"me" not in disk.content("keys")
    assert keys.tenant("").tag not in (me.tag, you.tag)


def test_another_master_key_is_refused_by_its_id(disk, keys):
    with pytest.raises(
        KeyTableError, match=f"{MASTER.id.hex()}, the one given is {OTHER.id.hex()}"
    ):
        again(disk, OTHER)


def test_an_unknown_tenant_has_no_key(keys):
    with pytest.raises(SealError, match="purged, or never was"):
        keys.key(A)


def test_tenants_are_bounded(keys, monkeypatch):
    monkeypatch.setattr(store_keys, "MAX_TENANTS", 3)
    for number in range(3):
        keys.key_or_new(bytes([number]) * 16)
    with pytest.raises(SealError, match="3 tenants, no more fit"):
        keys.key_or_new(A)
    assert keys.key_or_new(bytes(16))


def test_a_purged_tenant_is_gone_and_the_others_stay(disk, keys):
    a, b = keys.key_or_new(A).reveal(), keys.key_or_new(B).reveal()
    me = keys.tenant("me")
    assert keys.purge(A, MASTER)
    assert not keys.purge(A, MASTER)
    for one in (keys, again(disk)):
        with pytest.raises(SealError):
            one.key(A)
        assert one.key(B).reveal() == b
        assert one.tenant("me").secret.reveal() == me.secret.reveal()
    assert again(disk).key_or_new(A).reveal() != a


def test_no_older_table_gives_a_purged_tenant_back_once_the_master_is_another(disk, keys):
    keys.key_or_new(A)
    keys.key_or_new(B)
    before = disk.content("keys")
    keys.purge(A, MASTER)
    keys.rotate(OTHER)
    after = disk.content("keys")
    disk.rot("keys", 0, before)
    with pytest.raises(KeyTableError):
        again(disk, OTHER)
    # Nor do the old rows under what the new master unwraps.
    disk.rot("keys", 0, after)
    current = again(disk, OTHER)
    current._rows = {row.tag: row for row in store_keys.unpack(memoryview(before), "keys").rows}
    for tag in (A, B):
        with pytest.raises(SealError):
            current.key(tag)


def test_rotating_changes_the_master_and_nothing_else(disk, keys):
    a, me = keys.key_or_new(A).reveal(), keys.tenant("me")
    keys.rotate(OTHER)
    with pytest.raises(KeyTableError):
        again(disk, MASTER)
    loaded = again(disk, OTHER)
    assert (loaded.id, loaded.key(A).reveal()) == (keys.id, a)
    assert loaded.tenant("me").secret.reveal() == me.secret.reveal()


def test_a_power_loss_leaves_the_old_master_or_the_new_one(disk, keys):
    a = keys.key_or_new(A).reveal()
    since = disk.position
    keys.rotate(OTHER)
    opened = []
    for image in disk.crash_images(np.random.default_rng(1), 200, since):
        for master in (MASTER, OTHER):
            try:
                loaded = again(image, master)
            except KeyTableError:
                continue
            assert loaded is not None
            assert loaded.key(A).reveal() == a
            opened.append(master)
    assert len(opened) == 200
    assert {MASTER, OTHER} == set(opened)


@pytest.mark.parametrize("op", ["write", "sync"])
def test_a_tenant_whose_key_cannot_be_kept_gets_none(op):
    disk, faults = new_disk(), Faults()
    engine = FaultIO(disk, faults, VirtualClock())
    keys = StoreKeys.create(SideFile(engine, FaultFolder(disk, faults), "keys"), MASTER)
    faults.add(Fault("error", op=op, nth=1))
    with pytest.raises(SealError, match="cannot be kept"):
        keys.key_or_new(A)
    with pytest.raises(SealError):
        keys.key(A)
    faults.clear()
    assert keys.key_or_new(A).reveal() == again(disk).key(A).reveal()
