"""Only a plain file of ours that nobody else may use is read; the message has the fix."""

import os

import pytest

from workbench.tiering.encryption import private_file
from workbench.tiering.encryption.errors import MasterKeyError
from workbench.tiering.encryption.private_file import read_private, write_private

CANARY = b"canary" * 5


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    write_private(path, CANARY)
    return path


def test_what_is_written_is_ours_alone_and_comes_back(key):
    assert os.stat(key).st_mode & 0o7777 == 0o600
    assert read_private(key) == CANARY


def test_no_file_is_overwritten_and_none_made_where_there_is_no_folder(key, tmp_path):
    for path in (key, tmp_path / "none" / "key"):
        with pytest.raises(MasterKeyError, match="cannot be made"):
            write_private(path, b"another")
    assert read_private(key) == CANARY


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o620, 0o601, 0o777])
def test_a_file_that_others_may_use_is_refused(key, mode):
    key.chmod(mode)
    with pytest.raises(MasterKeyError, match=f"mode {mode:04o}.*chmod 600"):
        read_private(key)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_we_may_use_is_read(key, mode):
    key.chmod(mode)
    assert read_private(key) == CANARY


def test_links_pipes_folders_and_nothing_are_refused(key, tmp_path):
    (tmp_path / "link").symlink_to(key)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, said in (
        ("link", "no link"),
        ("folder", "no plain file"),
        ("pipe", "no plain file"),
        ("nothing", "workbench key new"),
    ):
        with pytest.raises(MasterKeyError, match=said):
            read_private(tmp_path / name)


def test_another_user_s_file_is_refused(key, monkeypatch):
    monkeypatch.setattr(private_file.os, "geteuid", lambda: os.stat(key).st_uid + 1)
    with pytest.raises(MasterKeyError, match="not to you"):
        read_private(key)
