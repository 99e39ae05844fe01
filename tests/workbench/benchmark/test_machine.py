"""The machine's identity: complete, stable, and silent about host and user."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import psutil
import pytest

from workbench.benchmark import machine
from workbench.benchmark.machine import Machine, identify

ONE = Machine(
    "AMD EPYC", 2, 16 * 2**30, "virtio disk", "ext4", "performance", "Linux 6.1", "x86_64"
)


def test_identify_describes_this_machine():
    found = identify()
    assert found.n_cpu >= 1
    assert found.ram_bytes == psutil.virtual_memory().total
    assert found.arch == platform.machine()
    assert all(value not in ("", None) for value in found.as_dict().values())
    assert identify().id == found.id


def test_a_path_that_does_not_exist_yet_is_described_by_its_parent(tmp_path):
    assert identify(tmp_path / "not" / "there") == identify(tmp_path)


def test_id_depends_on_stable_facts_only():
    moved = dataclasses.replace(
        ONE, governor="powersave", os="Linux 7.0", filesystem="xfs", ram_bytes=ONE.ram_bytes - 9
    )
    assert moved.id == ONE.id
    for change in (
        {"cpu": "Other"},
        {"n_cpu": 4},
        {"ram_bytes": 8 * 2**30},
        {"disk_model": "X"},
        {"arch": "arm64"},
    ):
        assert dataclasses.replace(ONE, **change).id != ONE.id
    assert len(ONE.id) == 12
    int(ONE.id, 16)


def test_host_name_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: pytest.fail("asked for the host name"))
    assert "EPYC" in str(ONE)
    identify()


def test_block_model_follows_partitions_and_mapped_devices(tmp_path):
    disk = tmp_path / "nvme0n1"
    (disk / "device").mkdir(parents=True)
    (disk / "device" / "model").write_text("Samsung  SSD 990 \n")
    partition = disk / "nvme0n1p1"
    partition.mkdir()
    (partition / "partition").write_text("1")
    mapped = tmp_path / "dm-0"
    (mapped / "slaves").mkdir(parents=True)
    (mapped / "slaves" / "nvme0n1p1").symlink_to(partition)
    assert machine._block_model(mapped) == "Samsung SSD 990"


@pytest.mark.parametrize(
    ("name", "model"), [("vda", "virtio disk"), ("loop3", "loop device"), ("odd", "virtual disk")]
)
def test_block_model_of_nameless_devices(tmp_path, name, model):
    (tmp_path / name).mkdir()
    assert machine._block_model(tmp_path / name) == model


def test_the_innermost_mount_wins(monkeypatch):
    mounts = [
        ("/dev/a", "/", "ext4"),
        ("/dev/b", "/srv", "xfs"),
        ("/dev/c", "/srv", "btrfs"),
        ("/dev/d", "/srv2", "zfs"),
    ]
    entries = [
        psutil._ntuples.sdiskpart(device, point, kind, "rw") for device, point, kind in mounts
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: entries)
    assert machine._mount(Path("/srv/data")) == ("/dev/c", "btrfs")
    assert machine._mount(Path("/etc")) == ("/dev/a", "ext4")


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor : 0\nmodel name : AMD EPYC\nmodel name : second\n", "AMD EPYC"),
        ("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n", "Arm 0x41 0xd0c"),
    ],
)
def test_cpu_name(monkeypatch, cpuinfo, expected):
    monkeypatch.setattr(machine.platform, "system", lambda: "Linux")
    monkeypatch.setattr(machine, "_read", lambda path: cpuinfo)
    assert machine._cpu() == expected


def test_macos_asks_sysctl(monkeypatch):
    monkeypatch.setattr(machine.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(
        machine, "_sysctl", lambda name: {"machdep.cpu.brand_string": "Apple M4"}[name]
    )
    assert machine._cpu() == "Apple M4"
    assert machine._disk_model(Path("/"), "/dev/disk3s1") == "internal disk"
