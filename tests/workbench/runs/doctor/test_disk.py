"""The store's disk: looked at for real, and memory or a far disk told from a local one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.benchmark import machine
from workbench.runs.doctor import disk


def test_every_check_answers_for_a_real_folder_and_leaves_nothing(tmp_path: Path) -> None:
    store = tmp_path / "store"
    found = {name: check() for name, check in disk.checks(store).items()}
    assert {one.status for one in found.values()} <= {"ok", "warn"}
    assert "64 MiB at" in found["read"].found
    assert list(store.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "status"), [("ext4", "ok"), ("apfs", "ok"), ("tmpfs", "warn"), ("nfs4", "warn")]
)
def test_memory_and_far_disks_are_told_apart(
    kind: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(machine.identify(tmp_path), filesystem=kind)
    monkeypatch.setattr(disk, "identify", lambda _: here)
    assert disk.filesystem(tmp_path).status == status


def test_room_for_the_largest_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "ROOM_BYTES", 1)
    assert disk.free_space(tmp_path).status == "ok"
    monkeypatch.setattr(disk, "ROOM_BYTES", 1 << 60)
    assert disk.free_space(tmp_path).status == "warn"


def test_other_pages_are_said() -> None:
    assert disk.page_size(4096).status == "ok"
    assert disk.page_size(16384).found == "16 KiB of memory, 4 KiB of I/O"


@pytest.mark.parametrize(("said", "status"), [(True, "warn"), (False, "ok"), (None, "ok")])
def test_a_rotational_disk_is_said(
    said: bool | None, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_rotational", lambda _: said)
    assert disk.solid_state(tmp_path).status == status


def test_a_slow_read_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SLOW_GB_S", 1e9)
    assert "slow for an SSD" in disk.read(tmp_path).found
