"""RealFolder reserves room, follows no link, and leaves nothing half made."""

import errno
import os
import resource
import signal
import sys

import pytest

from tests.contracts.folder_contract import FolderContract
from workbench.tiering.async_io import folder as folder_module
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.folder import RealFolder

MIB = 1 << 20
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="posix_fallocate is Linux's")


@pytest.fixture
def folder(disk_folder):
    with RealFolder(disk_folder / "store") as made:
        yield made


class TestRealFolder(FolderContract):
    def content(self, folder, name):
        return folder.path(name).read_bytes()


@linux_only
def test_room_is_reserved_at_once(folder):
    folder.create("segment", 4 * MIB)
    assert folder.path("segment").stat().st_blocks * 512 >= 4 * MIB


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_without_a_reservation_zeros_are_written(folder, monkeypatch, number):
    def refuse(fd, offset, n_bytes):
        raise OSError(number, "no")

    monkeypatch.setattr(folder_module.os, "posix_fallocate", refuse, raising=False)
    folder.create("segment", 2 * MIB + 5)
    found = folder.path("segment").stat()
    assert found.st_size == 2 * MIB + 5
    assert found.st_blocks * 512 >= 2 * MIB + 5


@linux_only
@pytest.mark.parametrize("reserve", [True, False])
def test_a_file_that_does_not_fit_leaves_nothing(folder, monkeypatch, reserve):
    if not reserve:
        monkeypatch.delattr(folder_module.os, "posix_fallocate")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    try:
        with pytest.raises(StorageError, match="segment: cannot be created: File too large"):
            folder.create("segment", 4 * MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert folder.names() == []


def test_links_and_folders_are_no_files(folder, disk_folder):
    target = disk_folder / "target"
    target.write_bytes(b"mine")
    folder.path("link").symlink_to(target)
    folder.path("sub").mkdir()
    assert folder.names() == []
    for name in ("link", "sub"):
        for call in (folder.size, folder.remove, lambda old: folder.replace(old, "new")):
            with pytest.raises(StorageError, match="no regular file"):
                call(name)
        with pytest.raises(StorageError, match="exists"):
            folder.create(name, 1)
    assert target.read_bytes() == b"mine"


def test_replacing_a_link_replaces_the_link_alone(folder, disk_folder):
    target = disk_folder / "target"
    target.write_bytes(b"mine")
    folder.path("link").symlink_to(target)
    folder.create("new", 3)
    folder.replace("new", "link")
    assert target.read_bytes() == b"mine"
    assert folder.size("link") == 3


def test_the_folder_itself_may_not_be_a_link(disk_folder):
    (disk_folder / "real").mkdir()
    (disk_folder / "link").symlink_to("real")
    with pytest.raises(StorageError, match="link: cannot be opened"):
        RealFolder(disk_folder / "link")


def test_files_are_their_owners_alone(folder):
    folder.create("private", 1)
    assert folder.path("private").stat().st_mode & 0o077 == 0


def test_a_renamed_folder_is_still_this_folder(folder, disk_folder):
    folder.create("kept", 5)
    (disk_folder / "store").rename(disk_folder / "moved")
    (disk_folder / "store").mkdir()
    assert folder.names() == ["kept"]
    folder.create("also", 6)
    assert sorted(os.listdir(disk_folder / "moved")) == ["also", "kept"]


def test_a_failed_sync_is_an_error(folder, monkeypatch):
    def broken(fd):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(folder_module.os, "fsync", broken)
    with pytest.raises(StorageError, match="store: cannot be flushed: Input/output error"):
        folder.sync()


def test_a_closed_folder_does_nothing(folder):
    folder.close()
    folder.close()
    for call in (folder.names, folder.sync, folder.fileno, lambda: folder.create("late", 1)):
        with pytest.raises(StorageError, match="store: the folder is closed"):
            call()
