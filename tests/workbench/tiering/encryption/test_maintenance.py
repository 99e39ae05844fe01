"""A closed store's master key is changed, and a tenant erased, without touching a block."""

import hashlib

import pytest

from tests.torture.model import key_of
from tests.workbench.tiering.encryption.sealed_stores import MASTER, OTHER, real_store
from workbench.errors import UsageError
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.maintenance import closed_store_keys, purge, rotate
from workbench.tiering.encryption.sealing import StoreSealing
from workbench.tiering.ssd_tier import Attributes, SsdTierConfig, StoreInUseError

CONFIG = SsdTierConfig(8 << 20, 1 << 20, flush_every_s=None)


@pytest.fixture
def folder(tmp_path):
    sealing = StoreSealing(MASTER)
    with real_store(tmp_path / "store", CONFIG, sealing) as tier:
        for number, name in enumerate(("me", "you")):
            tag = sealing.tenant(name).tag
            assert tier.put(key_of(number), name.encode(), Attributes(tenant=tag))
    return tmp_path / "store"


def found(folder, master):
    with real_store(folder, CONFIG, StoreSealing(master)) as tier:
        return [tier.get(key_of(number)) for number in range(2)]


def sums(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name not in ("keys", "lock")
    }


def test_rotating_rewrites_no_block_and_the_old_key_opens_nothing(folder):
    before = sums(folder)
    rotate(folder, MASTER, OTHER)
    assert sums(folder) == before
    with pytest.raises(KeyTableError, match="was last rotated to"):
        found(folder, MASTER)
    assert found(folder, OTHER) == [b"me", b"you"]


def test_purging_takes_one_tenant_and_rewrites_no_block(folder):
    before = sums(folder)
    purge(folder, MASTER, "me")
    assert sums(folder) == before
    assert found(folder, MASTER) == [None, b"you"]
    with pytest.raises(UsageError, match="no tenant 'me'"):
        purge(folder, MASTER, "me")


def test_a_store_in_use_is_left_alone(folder):
    with (
        real_store(folder, CONFIG, StoreSealing(MASTER)),
        pytest.raises(StoreInUseError),
        closed_store_keys(folder, MASTER),
    ):
        pass
    rotate(folder, MASTER, OTHER)


def test_the_wrong_key_and_a_folder_without_keys_are_refused(folder, tmp_path):
    with pytest.raises(KeyTableError, match="the one given is"):
        rotate(folder, OTHER, MASTER)
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(KeyTableError, match="no sealed store"):
            rotate(path, MASTER, OTHER)
    assert not (tmp_path / "nothing").exists()
