"""mincore sees what is cached; dropping and warming change it."""

import mmap
import os
import sys

import numpy as np
import pytest

from workbench.tiering.async_io import residency
from workbench.tiering.async_io.engine import StorageError

N_PAGES = 64
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a file's cache")


@pytest.fixture
def fd(disk_folder):
    path = disk_folder / "file"
    path.write_bytes(os.urandom(N_PAGES * mmap.PAGESIZE))
    handle = os.open(path, os.O_RDWR)
    yield handle
    os.close(handle)


def test_fresh_writes_are_resident(fd):
    assert residency.resident_frac(fd) == 1


@linux_only
def test_dropping_takes_dirty_pages_too(fd):
    os.pwrite(fd, b"dirty", 0)
    assert residency.drop_cache(fd) == 0
    assert residency.resident_frac(fd) == 0
    assert os.pread(fd, 5, 0) == b"dirty"


@linux_only
def test_a_part_is_counted_as_a_part(fd):
    residency.drop_cache(fd)
    # Random advice keeps read-ahead from loading more than the page asked for.
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    os.pread(fd, 1, 5 * mmap.PAGESIZE)
    assert residency.resident_frac(fd) == 1 / N_PAGES


@linux_only
def test_warming_loads_all_of_it(fd):
    residency.drop_cache(fd)
    assert residency.warm(fd) == 1


def test_looking_does_not_load(fd):
    before = residency.drop_cache(fd)
    assert residency.resident_frac(fd) == before


def test_a_part_of_a_page_counts_as_a_page(disk_folder):
    path = disk_folder / "odd"
    path.write_bytes(bytes(mmap.PAGESIZE + 1))
    with path.open("rb") as file:
        assert residency.resident_frac(file.fileno()) == 1


def test_an_empty_file_is_refused(disk_folder):
    (disk_folder / "empty").touch()
    with (
        (disk_folder / "empty").open("rb") as file,
        pytest.raises(StorageError, match="empty file"),
    ):
        residency.resident_frac(file.fileno())


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a tmpfs at /dev/shm (Linux)")
def test_a_memory_file_system_keeps_its_pages():
    import tempfile

    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(bytes(8 * mmap.PAGESIZE))
        file.flush()
        assert residency.drop_cache(file.fileno()) == 1


@linux_only
def test_pages_of_a_mapping_are_told_one_by_one(fd):
    residency.drop_cache(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    os.pread(fd, 1, 5 * mmap.PAGESIZE)
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapping:
        start = np.frombuffer(mapping, np.uint8).ctypes.data
        pages = residency.resident_pages(start + 4 * mmap.PAGESIZE, 3 * mmap.PAGESIZE)
        with pytest.raises(StorageError, match="mincore over 1 bytes failed"):
            residency.resident_pages(start + 1, 1)
    assert pages.tolist() == [False, True, False]
