"""Buffers are aligned, writable, seeded and cut into whole blocks."""

import mmap
import resource
import zlib
from pathlib import Path

import numpy as np
import pytest

from workbench.tiering import memory
from workbench.tiering.async_io.buffers import (
    address,
    aligned_buffer,
    fill_random,
    huge_buffer,
    split,
)
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.memory import HUGE_PAGE_BYTES, huge_pages_granted


@pytest.mark.parametrize("n_bytes", [1, 4095, 4096, 4097, 1 << 20])
@pytest.mark.parametrize(
    ("make", "alignment"), [(aligned_buffer, mmap.PAGESIZE), (huge_buffer, HUGE_PAGE_BYTES)]
)
def test_a_buffer_is_aligned_and_has_the_size_asked_for(make, alignment, n_bytes):
    buffer = make(n_bytes)
    assert len(buffer) == n_bytes
    assert np.frombuffer(buffer, np.uint8).ctypes.data % alignment == 0
    assert not any(buffer[:4096])
    buffer[n_bytes - 1] = 7
    assert buffer[n_bytes - 1] == 7


def test_a_buffer_is_backed_before_it_is_handed_out():
    n_pages = 2048
    buffer = np.frombuffer(aligned_buffer(n_pages * mmap.PAGESIZE), np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffer[:: mmap.PAGESIZE] = 1
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < n_pages / 10


def huge_kib() -> int:
    """Return how much of this process lies in huge pages."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(text.split("AnonHugePages:")[1].split()[0])


def test_ordinary_and_huge_buffers_are_what_they_are_called():
    if not huge_pages_granted():
        pytest.skip("this system gives no huge pages: set transparent_hugepage to madvise")
    before = huge_kib()
    huge = huge_buffer(3 * HUGE_PAGE_BYTES)
    # One of the three may fail where memory is short of whole huge pages.
    assert huge_kib() - before >= 2 * HUGE_PAGE_BYTES >> 10
    assert len(huge) == 3 * HUGE_PAGE_BYTES


def test_without_huge_pages_a_huge_buffer_is_an_ordinary_one(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_THP_SWITCH", tmp_path / "absent")
    buffer = huge_buffer(5)
    buffer[:] = b"works"
    assert bytes(buffer) == b"works"


@pytest.mark.parametrize("make", [aligned_buffer, huge_buffer])
@pytest.mark.parametrize("n_bytes", [0, -1])
def test_an_empty_buffer_is_refused(make, n_bytes):
    with pytest.raises(StorageError, match=f"{n_bytes} bytes"):
        make(n_bytes)


@pytest.mark.parametrize("n_bytes", [5, 8, 4096])
def test_random_bytes_follow_their_seed(n_bytes):
    first, second, other = (aligned_buffer(n_bytes) for _ in range(3))
    fill_random(first, np.random.default_rng(1))
    fill_random(second, np.random.default_rng(1))
    fill_random(other, np.random.default_rng(2))
    assert first == second
    assert first != other


def test_random_bytes_do_not_compress():
    buffer = aligned_buffer(1 << 16)
    fill_random(buffer, np.random.default_rng(0))
    assert len(zlib.compress(buffer)) >= len(buffer)


def test_split_views_whole_blocks_only():
    buffer = aligned_buffer(10)
    blocks = split(buffer, 4)
    assert [len(block) for block in blocks] == [4, 4]
    blocks[1][0] = 9
    assert buffer[4] == 9


def test_an_address_is_where_the_bytes_are():
    buffer = aligned_buffer(8192)
    assert address(buffer[100:]) == address(buffer) + 100
    read_only = memoryview(bytes(10))
    assert address(read_only) == np.frombuffer(read_only, np.uint8).ctypes.data
    assert address(memoryview(b"")) == 0
