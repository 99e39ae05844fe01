"""`workbench key`: makes a key for its owner alone, changes it, erases a tenant; shows none."""

from __future__ import annotations

import pytest

from tests.torture.model import key_of
from workbench.tiering.encryption import StoreSealing, find_master_key
from workbench.tiering.encryption.key_source import VARIABLE
from workbench.tiering.ssd_tier import Attributes, SsdTier, SsdTierConfig

CONFIG = SsdTierConfig(8 << 20, 1 << 20, flush_every_s=None)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def sealed_folder(workbench, tmp_path):
    """Make a key by the command line, and a store with a block of each of two tenants."""
    assert workbench("key", "new", str(tmp_path / "key")).code == 0
    sealing = StoreSealing(find_master_key(tmp_path / "key"))
    with SsdTier.open(tmp_path / "store", CONFIG, sealing=sealing) as tier:
        for number, name in enumerate(("", "guest")):
            attributes = Attributes(tenant=sealing.tenant(name).tag)
            assert tier.put(key_of(number), b"value", attributes)
    return tmp_path / "store"


def found(folder, key):
    sealing = StoreSealing(find_master_key(key))
    with SsdTier.open(folder, CONFIG, sealing=sealing) as tier:
        return [tier.get(key_of(number)) for number in range(2)]


def test_a_new_key_is_its_owner_s_alone_and_is_not_shown(workbench, tmp_path):
    answer = workbench("key", "new", str(tmp_path / "key"))
    digits = (tmp_path / "key").read_text().strip()
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert len(digits) == 64
    assert answer.out == f"made key {find_master_key(tmp_path / 'key').id.hex()}\n"
    assert digits not in answer.out + answer.err
    again = workbench("key", "new", str(tmp_path / "key"))
    assert (again.code, (tmp_path / "key").read_text().strip()) == (2, digits)
    assert "File exists" in again.err


def test_rotating(workbench, sealed_folder, tmp_path):
    workbench("key", "new", str(tmp_path / "next"))
    answer = workbench(
        *("key", "rotate", str(sealed_folder)),
        *("--key-file", str(tmp_path / "key"), "--to", str(tmp_path / "next")),
    )
    assert answer.code == 0
    assert "opens the folder now" in answer.out
    assert found(sealed_folder, tmp_path / "next") == [b"value", b"value"]


def test_purging(workbench, sealed_folder, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key"))
    answer = workbench("key", "purge", str(sealed_folder), "--tenant", "guest")
    assert (answer.code, answer.err) == (0, "")
    assert found(sealed_folder, tmp_path / "key") == [b"value", None]
    assert workbench("key", "purge", str(sealed_folder), "--tenant", "guest").code == 2


def test_without_a_key_the_ways_to_name_one_are_said(workbench, sealed_folder):
    answer = workbench("key", "purge", str(sealed_folder), "--tenant", "guest")
    assert answer.code == 2
    assert f"--key-file, or set {VARIABLE}" in answer.err
