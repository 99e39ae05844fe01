"""A device is measured once, answers are remembered by its identity, and nothing is left behind."""

import errno
import json
import os

import pytest

from workbench.tiering.async_io import block_size as module
from workbench.tiering.async_io.block_size import BlockSize, block_size, cache_file, choose, measure
from workbench.tiering.async_io.engine import StorageError

FOUND = BlockSize(64, {"16": 0.5, "64": 1.0}, "io_uring", 32, direct=True)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(module, "_FILE_BYTES", 4 << 20)
    monkeypatch.setattr(module, "_SAMPLE_BYTES", 2 << 20)


@pytest.fixture
def measured(monkeypatch):
    """Count the measurements, and let each give the same answer."""
    calls = []

    def count(folder, *, depth):
        calls.append((folder, depth))
        return FOUND

    monkeypatch.setattr(module, "measure", count)
    return calls


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({16: 1.0, 64: 2.0, 256: 2.1}, 64),
        ({16: 1.0, 64: 1.8, 256: 2.1}, 256),
        ({16: 3.0, 64: 2.0}, 16),
        ({64: 1.0}, 64),
    ],
)
def test_the_smallest_that_is_near_the_best_is_chosen(rates, chosen):
    assert choose(rates) == chosen


def test_a_sweep_measures_every_size_and_cleans_up(disk_folder):
    found = measure(disk_folder, depth=4, sizes_kib=(16, 256), rounds=2)
    assert set(found.rates_gb_s) == {"16", "256"}
    assert all(rate > 0 for rate in found.rates_gb_s.values())
    assert found.block_kib in (16, 256)
    assert (found.depth, found.direct) == (4, True)
    assert found.engine in ("io_uring", "threads")
    assert list(disk_folder.iterdir()) == []


def test_a_device_is_measured_once(measured, disk_folder):
    assert block_size(disk_folder, "disk-1") == FOUND
    assert block_size(disk_folder, "disk-1") == FOUND
    assert len(measured) == 1
    block_size(disk_folder, "disk-2", depth=8)
    assert measured[1] == (disk_folder, 8)
    block_size(disk_folder, "disk-1", remeasure=True)
    assert len(measured) == 3
    assert set(json.loads(cache_file().read_text())["devices"]) == {"disk-1", "disk-2"}
    assert [one.name for one in cache_file().parent.iterdir()] == ["block_sizes.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 99, "devices": {}}', '{"version": 1, "devices": {"d": 3}}']
)
def test_a_file_that_is_not_understood_is_measured_over(measured, disk_folder, text):
    cache_file().parent.mkdir(parents=True)
    cache_file().write_text(text)
    assert block_size(disk_folder, "disk-1") == FOUND
    assert block_size(disk_folder, "disk-1") == FOUND
    assert len(measured) == 1


def test_a_full_disk_says_so_and_leaves_nothing(disk_folder, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(StorageError, match=f"cannot be measured: {os.strerror(errno.ENOSPC)}"):
        measure(disk_folder, sizes_kib=(16,))
    assert list(disk_folder.iterdir()) == []
    assert not cache_file().exists()
