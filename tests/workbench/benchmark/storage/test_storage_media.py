"""open_media(): two proven files while it lasts, none after, and no figure from a false medium."""

import os
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from workbench.benchmark import scratch_files
from workbench.benchmark.storage.storage_media import MediumError, open_media
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import Request, check_all

MIB = 1 << 20
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a file's cache")


@linux_only
def test_the_media_are_what_they_are_called(disk_folder):
    with open_media(disk_folder, 2 * MIB, seed=0) as (device, cache):
        for medium in (device, cache):
            medium.prepare()
            check_all(medium.engine.submit([Request("read", medium.file, 0, aligned_buffer(MIB))]))
            medium.conclude()
        assert (device.resident_before, device.resident_after) == ([0], [0])
        assert (cache.resident_before, cache.resident_after) == ([1], [1])
        assert device.proven
        assert cache.proven


def test_the_content_follows_the_seed_and_differs_between_the_files(disk_folder):
    seen = []
    for seed in (1, 1, 2):
        with open_media(disk_folder, MIB, seed) as (device, cache):
            seen.append((device.path.read_bytes(), cache.path.read_bytes()))
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]
    assert seen[0][0] != seen[0][1]
    assert len(seen[0][0]) == MIB


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_stays_behind_whatever_happens(disk_folder, error):
    def measure():
        with open_media(disk_folder, MIB, seed=0):
            assert len(list(disk_folder.iterdir())) == 2
            raise error

    with pytest.raises(error):
        measure()
    assert list(disk_folder.iterdir()) == []


def test_the_store_folder_is_made(disk_folder):
    with open_media(disk_folder / "new" / "store", MIB, seed=0) as (device, _):
        assert device.path.parent == disk_folder / "new" / "store"


@linux_only
def test_without_direct_io_the_device_is_buffered_and_written_through(disk_folder):
    with open_media(disk_folder, MIB, seed=0, direct=False) as (device, _):
        assert not device.direct
        flags = Path(f"/proc/self/fdinfo/{device.fileno()}").read_text()
        assert int(flags.split("flags:")[1].split()[0], 8) & os.O_DSYNC


def test_a_full_disk_is_refused_before_anything_is_written(disk_folder):
    with (
        pytest.raises(MediumError, match=r"MiB are free, .* MiB are needed"),
        open_media(disk_folder, 1 << 60, seed=0),
    ):
        pass
    assert list(disk_folder.iterdir()) == []


@linux_only
def test_a_disk_that_fills_up_meanwhile_is_an_error_of_ours(disk_folder, monkeypatch):
    import resource
    import signal

    # A limit on the size of files is the nearest thing to a full disk that needs no mount.
    monkeypatch.setattr(scratch_files.errno, "ENOSPC", scratch_files.errno.EFBIG)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    try:
        with pytest.raises(MediumError, match="filled up"), open_media(disk_folder, 4 * MIB, 0):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(disk_folder.iterdir()) == []


def test_only_leftovers_of_dead_processes_are_removed(disk_folder):
    dead = next(pid for pid in range(4_000_000, 1, -1) if not psutil.pid_exists(pid))
    left = disk_folder / f".storage-sweep-{dead}-device.bin"
    alive = disk_folder / f".storage-sweep-{os.getppid()}-device.bin"
    foreign = disk_folder / ".storage-sweep-notes.bin"
    for path in (left, alive, foreign):
        path.touch()
    with open_media(disk_folder, MIB, seed=0):
        pass
    assert sorted(disk_folder.iterdir()) == sorted([alive, foreign])


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a tmpfs at /dev/shm (Linux)")
def test_a_memory_file_system_is_no_device():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        with pytest.raises(MediumError, match="stays in memory"), open_media(Path(name), MIB, 0):
            pass
        assert list(Path(name).iterdir()) == []


def test_a_disk_that_returns_other_bytes_is_found_out(disk_folder, monkeypatch):
    real = scratch_files.fill

    def rot(path, file_bytes, seed):
        checksum = real(path, file_bytes, seed)
        with path.open("r+b") as file:
            file.seek(file_bytes // 2)
            byte = file.read(1)
            file.seek(file_bytes // 2)
            file.write(bytes([byte[0] ^ 1]))
        return checksum

    monkeypatch.setattr(scratch_files, "fill", rot)
    with (
        pytest.raises(MediumError, match="gave back other bytes"),
        open_media(disk_folder, MIB, seed=0),
    ):
        pass
    assert list(disk_folder.iterdir()) == []


@linux_only
def test_a_medium_that_mincore_contradicts_is_not_proven(disk_folder):
    with open_media(disk_folder, MIB, seed=0) as (device, cache):
        for medium in (device, cache):
            medium.prepare()
            medium.conclude()
        device.resident_after.append(0.5)
        cache.resident_after.append(0.5)
        assert not device.proven
        assert not cache.proven
        assert device.worst(device.resident_after) == 0.5
        assert cache.worst(cache.resident_after) == 0.5
