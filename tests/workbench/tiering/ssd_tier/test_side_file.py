"""A small file beside the segments is there whole, old or new, whatever happens meanwhile."""

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.bare_cores import new_disk
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.folder import RealFolder
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier.side_file import SideFile


def file_of(disk):
    return SideFile(disk, disk, "small")


def content(file):
    read = file.read()
    return None if read is None else bytes(read).rstrip(b"\0")


def test_it_comes_back_padded_to_pages():
    file = file_of(new_disk())
    assert file.read() is None
    for n_bytes in (1, PAGE_BYTES, PAGE_BYTES + 1):
        file.replace(b"x" * n_bytes)
        assert file.read().nbytes == -(-n_bytes // PAGE_BYTES) * PAGE_BYTES
        assert content(file) == b"x" * n_bytes


def test_an_empty_or_cut_file_is_read_as_it_is():
    disk = new_disk()
    disk.create("small", 0)
    assert file_of(disk).read() == b""
    file_of(disk).replace(b"whole")
    disk.truncate("small", 100)
    assert file_of(disk).read() == b""


def test_a_file_too_large_to_be_ours_is_not_read():
    disk = new_disk()
    disk.create("small", (1 << 20) + PAGE_BYTES)
    with pytest.raises(StorageError, match="at most 1048576 can be"):
        file_of(disk).read()


def test_on_a_real_disk_too(disk_folder):
    with RealFolder(disk_folder) as folder, SynchronousEngine() as engine:
        file = SideFile(engine, folder, "small")
        file.replace(b"one")
        file.replace(b"another")
        assert content(file) == b"another"
        assert folder.names() == ["small"]


def test_a_power_loss_leaves_the_old_bytes_or_the_new_ones():
    disk = new_disk()
    file_of(disk).replace(b"old")
    since = disk.position
    file_of(disk).replace(b"new")
    found = [content(file_of(i)) for i in disk.crash_images(np.random.default_rng(1), 300, since)]
    assert set(found) == {b"old", b"new"}


@pytest.mark.parametrize("op", ["write", "sync", "create", "replace", "open"])
def test_a_failure_is_said_and_leaves_the_old_bytes(op):
    disk, faults = new_disk(), Faults()
    file_of(disk).replace(b"old")
    file = SideFile(FaultIO(disk, faults, VirtualClock()), FaultFolder(disk, faults), "small")
    faults.add(Fault("error", op=op, nth=1))
    with pytest.raises(StorageError):
        file.replace(b"new")
    assert content(file_of(disk)) == b"old"
    file.replace(b"newer")
    assert content(file_of(disk)) == b"newer"
