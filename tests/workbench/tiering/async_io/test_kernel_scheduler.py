"""The scheduler in use is found and put back, and every refusal says why."""

import os
from pathlib import Path

import pytest

from workbench.tiering.async_io import kernel_scheduler as module
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.kernel_scheduler import kernel_scheduler, switched


class Sysfs:
    """A tree as the kernel shows it; writing to `scheduler` does what it does there."""

    def __init__(self, root, path, *, scheduler="none [mq-deadline] kyber\n", partition=False):
        self.root, self.path = root, path
        self.disk = root / "devices" / "nvme0n1"
        block = self.disk / "nvme0n1p2" if partition else self.disk
        block.mkdir(parents=True)
        if partition:
            (block / "partition").write_text("2\n")
        number = path.stat().st_dev
        (root / "dev" / "block").mkdir(parents=True)
        self.link = root / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
        self.link.symlink_to(block)
        (self.disk / "queue").mkdir()
        self.control = self.disk / "queue" / "scheduler"
        if scheduler is not None:
            self.control.write_text(scheduler)
        self.refuses: set[str] = set()
        self.ignores: set[str] = set()
        self.asked: list[str] = []

    def write(self, control, name):
        assert control == self.control.resolve()
        self.asked.append(name)
        if name in self.refuses:
            return f"nvme0n1: {name}: Invalid argument"
        if name not in self.ignores:
            words = [word.strip("[]") for word in control.read_text().split()]
            control.write_text(" ".join(f"[{word}]" if word == name else word for word in words))
        return ""

    def now(self):
        return kernel_scheduler(self.path, self.root).current


@pytest.fixture
def make(tmp_path, monkeypatch):
    def make(**options):
        sysfs = Sysfs(tmp_path / "sys", tmp_path, **options)
        monkeypatch.setattr(module, "_write", sysfs.write)
        return sysfs

    return make


@pytest.mark.parametrize("partition", [False, True])
def test_the_disk_of_a_path_is_found(make, partition):
    sysfs = make(partition=partition)
    found = kernel_scheduler(sysfs.path, sysfs.root)
    assert (found.device, found.current) == ("nvme0n1", "mq-deadline")
    assert found.offered == ("none", "mq-deadline", "kyber")
    assert found.switchable


def test_a_mapped_device_goes_by_the_one_disk_below(make, tmp_path):
    sysfs = make(partition=True)
    mapped = sysfs.root / "devices" / "dm-0"
    (mapped / "slaves").mkdir(parents=True)
    (mapped / "slaves" / "nvme0n1p2").symlink_to(sysfs.disk / "nvme0n1p2")
    sysfs.link.unlink()
    sysfs.link.symlink_to(mapped)
    assert kernel_scheduler(sysfs.path, sysfs.root).device == "nvme0n1"
    # On two disks it goes by itself, and has no scheduler.
    (mapped / "slaves" / "sda").symlink_to(sysfs.disk)
    assert kernel_scheduler(sysfs.path, sysfs.root).reason == "dm-0 has no scheduler"


def test_a_switch_lasts_as_long_as_its_block(make):
    sysfs = make()
    with switched(sysfs.path, "kyber", sysfs.root) as switch:
        assert switch.applied
        assert switch.scheduler.current == "kyber"
        assert sysfs.now() == "kyber"
    assert sysfs.now() == "mq-deadline"
    with pytest.raises(KeyError), switched(sysfs.path, "none", sysfs.root):
        raise KeyError
    assert sysfs.now() == "mq-deadline"


def test_nested_switches_unwind(make):
    sysfs = make()
    with switched(sysfs.path, "kyber", sysfs.root):
        with switched(sysfs.path, "none", sysfs.root) as inner:
            assert inner.applied
        assert sysfs.now() == "kyber"
    assert sysfs.now() == "mq-deadline"


def test_the_one_in_use_needs_no_switch(make):
    sysfs = make()
    with switched(sysfs.path, "mq-deadline", sysfs.root) as switch:
        assert switch.applied
    assert sysfs.asked == []


def test_one_that_is_not_offered_is_not_asked_for(make):
    sysfs = make()
    with switched(sysfs.path, "bfq", sysfs.root) as switch:
        assert switch.reason == "nvme0n1 does not offer 'bfq'; there are none, mq-deadline, kyber"
    assert sysfs.asked == []


@pytest.mark.parametrize("kind", ["refuses", "ignores"])
def test_a_kernel_that_does_not_switch_is_told_from_one_that_does(make, kind):
    sysfs = make()
    getattr(sysfs, kind).add("kyber")
    with switched(sysfs.path, "kyber", sysfs.root) as switch:
        assert not switch.applied
        assert "kyber" in switch.reason
        assert switch.scheduler.current == "mq-deadline"
    assert sysfs.now() == "mq-deadline"


def test_a_scheduler_that_cannot_be_put_back_is_an_error(make):
    sysfs = make()
    back = pytest.raises(StorageError, match="mq-deadline could not be put back")
    with back, switched(sysfs.path, "kyber", sysfs.root):
        sysfs.refuses.add("mq-deadline")


@pytest.mark.parametrize(
    ("scheduler", "reason"),
    [
        ("[none]\n", "nvme0n1 offers only none"),
        ("none\n", "nvme0n1 does not say which scheduler it uses"),
        ("", "nvme0n1 does not say which scheduler it uses"),
        (None, "nvme0n1 has no scheduler"),
    ],
)
def test_where_there_is_no_choice_it_says_so(make, scheduler, reason):
    sysfs = make(scheduler=scheduler)
    found = kernel_scheduler(sysfs.path, sysfs.root)
    assert (found.reason, found.switchable) == (reason, False)
    with switched(sysfs.path, "kyber", sysfs.root) as switch:
        assert switch.reason == reason
    assert sysfs.asked == []


def test_without_permission_it_says_so(make, monkeypatch):
    sysfs = make()
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    with switched(sysfs.path, "kyber", sysfs.root) as switch:
        assert "may not be switched by this user" in switch.reason
    assert sysfs.asked == []


def test_what_is_on_no_disk_says_so(make, tmp_path):
    sysfs = make()
    sysfs.link.unlink()
    assert "no block device of its own" in kernel_scheduler(sysfs.path, sysfs.root).reason
    assert "no sysfs" in kernel_scheduler(tmp_path, tmp_path / "nowhere").reason
    with switched(tmp_path, "none", tmp_path / "nowhere") as switch:
        assert "no sysfs" in switch.reason
    with pytest.raises(StorageError, match="cannot be looked at: No such file"):
        kernel_scheduler(tmp_path / "missing")


def test_a_write_that_the_system_refuses_is_a_reason(tmp_path):
    control = tmp_path / "vdx" / "queue" / "scheduler"
    assert module._write(control, "none") == "vdx: none: No such file or directory"
    control.parent.mkdir(parents=True)
    assert module._write(control, "none") == ""
    assert control.read_text() == "none"


def test_this_machine_gives_an_answer_and_is_left_alone(disk_folder: Path):
    found = kernel_scheduler(disk_folder)
    assert found.current in found.offered or found.reason
    with switched(disk_folder, found.current or "none") as switch:
        assert switch.applied or switch.reason
    assert kernel_scheduler(disk_folder) == found
