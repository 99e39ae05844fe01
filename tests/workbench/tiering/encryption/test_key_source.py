"""A key comes from where the user says, or from the variable's file, and never from elsewhere."""

import os

import pytest

from workbench.tiering.encryption.errors import MasterKeyError
from workbench.tiering.encryption.key_source import VARIABLE, demand_master_key, find_master_key
from workbench.tiering.encryption.master_key import MasterKey


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def made(tmp_path):
    return MasterKey.create(tmp_path / "key")


def test_without_a_word_there_is_no_key():
    assert find_master_key() is None
    with pytest.raises(MasterKeyError, match=f"--key-file, or set {VARIABLE}"):
        demand_master_key()


def test_a_named_file_comes_before_the_variable(made, tmp_path, monkeypatch):
    assert find_master_key(tmp_path / "key").id == made.id
    assert find_master_key(str(tmp_path / "key")).id == made.id
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key"))
    assert find_master_key().id == demand_master_key().id == made.id
    other = MasterKey.create(tmp_path / "other")
    assert find_master_key(tmp_path / "other").id == other.id


def test_the_variable_holds_no_key_itself(made, tmp_path, monkeypatch):
    digits = (tmp_path / "key").read_text().strip()
    monkeypatch.setenv(VARIABLE, digits)
    with pytest.raises(MasterKeyError, match="no such key file"):
        find_master_key()


def test_a_descriptor_is_read_and_closed(made, tmp_path):
    fd = os.open(tmp_path / "key", os.O_RDONLY)
    assert find_master_key(f"fd:{fd}").id == made.id
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize("source", ["fd:", "fd:x", "fd:-1", "fd:9999", "fd:99999999999999999999"])
def test_a_descriptor_that_is_none_is_refused(source):
    with pytest.raises(MasterKeyError, match=r"fd:3|3<key"):
        find_master_key(source)


def test_an_empty_name_is_no_name():
    with pytest.raises(MasterKeyError, match="empty"):
        find_master_key("")


def test_a_missing_file_is_refused_at_once_even_by_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(MasterKeyError, match="no such key file"):
        find_master_key()


def test_a_keyring_s_entry_is_asked_for_by_its_name():
    with pytest.raises(MasterKeyError, match="keyring:service/user"):
        find_master_key("keyring:service")
