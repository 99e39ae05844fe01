"""The kernel's list is read as it is written, and only changed where that is permitted."""

import os

import pytest

from workbench.tiering.async_io import kernel_scheduler
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.kernel_scheduler import look, switch, switched


class Sysfs:
    """A copy of the kernel's folders for the disk of one path, that answers as the kernel does."""

    def __init__(self, root, path, partition=False):
        number = path.stat().st_dev
        self.root, self.disk = root, root / "devices" / "vdz"
        self.file = self.disk / "queue" / "scheduler"
        self.file.parent.mkdir(parents=True)
        place = self.disk / "vdz1" if partition else self.disk
        place.mkdir(exist_ok=True)
        if partition:
            (place / "partition").write_text("1\n")
        links = root / "dev" / "block"
        links.mkdir(parents=True)
        (links / f"{os.major(number)}:{os.minor(number)}").symlink_to(place)
        self.offer("none [mq-deadline] kyber")

    def offer(self, text):
        self.file.write_text(text + "\n")


@pytest.fixture
def sysfs(tmp_path):
    return Sysfs(tmp_path / "sys", tmp_path)


def obey(monkeypatch, sysfs, obeys=True):
    """Let a written name be marked as the current one."""
    real = kernel_scheduler.Path.write_text

    def write(self, text, **options):
        if self == sysfs.file.resolve() and obeys:
            words = [word.strip("[]") for word in self.read_text().split()]
            text = " ".join(f"[{word}]" if word == text else word for word in words)
        elif self == sysfs.file.resolve():
            return 0
        return real(self, text, **options)

    monkeypatch.setattr(kernel_scheduler.Path, "write_text", write)


@pytest.mark.parametrize("partition", [False, True])
def test_the_one_in_brackets_is_in_use(tmp_path, partition):
    sysfs = Sysfs(tmp_path / "sys", tmp_path, partition)
    found = look(tmp_path, sysfs.root)
    assert (found.disk, found.current) == ("vdz", "mq-deadline")
    assert found.choices == ("none", "mq-deadline", "kyber")
    assert found.refused == ""


def test_a_change_lasts_for_the_block_only(tmp_path, sysfs, monkeypatch):
    obey(monkeypatch, sysfs)
    with switched(tmp_path, "kyber", sysfs.root) as before:
        assert before == "mq-deadline"
        assert look(tmp_path, sysfs.root).current == "kyber"
    assert look(tmp_path, sysfs.root).current == "mq-deadline"
    with pytest.raises(KeyError), switched(tmp_path, "none", sysfs.root):
        raise KeyError
    assert look(tmp_path, sysfs.root).current == "mq-deadline"


def test_a_kernel_that_only_pretends_is_found_out(tmp_path, sysfs, monkeypatch):
    obey(monkeypatch, sysfs, obeys=False)
    with pytest.raises(StorageError, match="kyber was accepted, yet mq-deadline is in use"):
        switch(tmp_path, "kyber", sysfs.root)


def test_an_unknown_scheduler_is_told_which_there_are(tmp_path, sysfs):
    with pytest.raises(StorageError, match="no scheduler 'cfq'; none, mq-deadline, kyber"):
        switch(tmp_path, "cfq", sysfs.root)


@pytest.mark.parametrize(("text", "said"), [("[none]", "no choice"), ("none", "no choice")])
def test_no_choice_is_said(tmp_path, sysfs, text, said):
    sysfs.offer(text)
    assert said in look(tmp_path, sysfs.root).refused
    with pytest.raises(StorageError, match=said):
        switch(tmp_path, "none", sysfs.root)


def test_without_permission_it_says_so(tmp_path, sysfs, monkeypatch):
    monkeypatch.setattr(kernel_scheduler.os, "access", lambda place, mode: False)
    assert "needs root" in look(tmp_path, sysfs.root).refused
    with pytest.raises(StorageError, match="needs root"):
        switch(tmp_path, "kyber", sysfs.root)


def test_a_refused_write_says_why(tmp_path, sysfs, monkeypatch):
    def refuse(self, text, **options):
        raise OSError(30, "read-only")

    monkeypatch.setattr(kernel_scheduler.Path, "write_text", refuse)
    with pytest.raises(StorageError, match="kyber was refused by the kernel: Read-only file"):
        switch(tmp_path, "kyber", sysfs.root)


def test_no_disk_no_scheduler(tmp_path, sysfs):
    found = look(tmp_path, tmp_path / "elsewhere")
    assert found.current == ""
    assert "no disk that the kernel shows" in found.refused
    sysfs.file.unlink()
    assert "cannot be read" in look(tmp_path, sysfs.root).refused


def test_this_machine_gives_an_answer_and_is_left_alone(disk_folder):
    found = look(disk_folder)
    assert found.current in found.choices or found.refused
    assert look(disk_folder) == found
