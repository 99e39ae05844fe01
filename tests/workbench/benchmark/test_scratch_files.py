"""Scratch files are random, seeded, verified, and gone afterwards."""

import os

import psutil
import pytest

from workbench.benchmark.scratch_files import (
    MediumError,
    check_space,
    scratch_files,
    scratch_folder,
    verify,
)
from workbench.tiering.async_io.synchronous import SynchronousEngine

MIB = 1 << 20


def test_files_hold_seeded_bytes_that_differ_from_file_to_file(disk_folder):
    seen = []
    for seed in (1, 1, 2):
        with scratch_files(disk_folder, {"a": MIB, "b": 2 * MIB}, seed) as files:
            seen.append([files[name].path.read_bytes() for name in "ab"])
            assert [len(content) for content in seen[-1]] == [MIB, 2 * MIB]
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]
    assert seen[0][0] != seen[0][1][:MIB]
    assert list(disk_folder.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_stays_behind_whatever_happens(disk_folder, error):
    def measure():
        with (
            scratch_files(disk_folder, {"a": MIB}, 0),
            scratch_folder(disk_folder, "b", MIB) as folder,
        ):
            (folder / "segment").write_bytes(b"x")
            assert len(list(disk_folder.iterdir())) == 2
            raise error

    with pytest.raises(error):
        measure()
    assert list(disk_folder.iterdir()) == []


def test_leftovers_of_dead_processes_go_and_others_stay(disk_folder):
    dead = next(pid for pid in range(4_000_000, 1, -1) if not psutil.pid_exists(pid))
    (disk_folder / f".storage-sweep-{dead}-folder").mkdir()
    (disk_folder / f".storage-sweep-{dead}-folder" / "segment").touch()
    (disk_folder / f".storage-sweep-{dead}-device.bin").touch()
    alive = disk_folder / f".storage-sweep-{os.getppid()}-folder"
    alive.mkdir()
    with scratch_folder(disk_folder, "new", MIB):
        pass
    assert list(disk_folder.iterdir()) == [alive]


def test_bytes_that_changed_are_found_out(disk_folder):
    with (
        scratch_files(disk_folder, {"a": MIB}, 0) as files,
        SynchronousEngine() as engine,
    ):
        handle = engine.open(files["a"].path)
        verify(engine, handle, files["a"])
        with files["a"].path.open("r+b") as file:
            byte = file.read(1)
            file.seek(0)
            file.write(bytes([byte[0] ^ 1]))
            file.flush()
            os.fsync(file.fileno())
        with pytest.raises(MediumError, match="the device gave back other bytes"):
            verify(engine, handle, files["a"])


def test_a_disk_without_room_is_refused(disk_folder):
    with pytest.raises(MediumError, match=r"MiB are free, .* MiB are needed"):
        check_space(disk_folder, 1 << 60)
