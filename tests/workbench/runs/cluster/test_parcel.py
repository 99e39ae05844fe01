"""Parcels: a folder arrives as it was sent, and nothing else does."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace

import pytest
import zstandard

from workbench.runs import record, registry
from workbench.runs.cluster import parcel
from workbench.runs.cluster.parcel import Parcel, ParcelError, pack, publish, unpack
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.record import RunFile
from workbench.runs.request import LATEST, NOTEBOOK, Run


@pytest.fixture
def sent(runs_folder, data_folder) -> Run:
    """Return a run that ended, with a notebook and a log."""
    begun = record.new("day01", Day01Params(preset="tiny"), "workbench", label="sent")
    run_file = RunFile.create(begun)
    (run_file.folder / NOTEBOOK).write_text("{}")
    (run_file.folder / "kernel.log").write_bytes(bytes(range(256)) * 100)
    return Run(run_file.finish("ok"), run_file.folder)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Let what follows happen in another registry."""

    def move():
        monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "elsewhere"))
        return tmp_path / "elsewhere"

    return move


def _archive(**files: bytes | tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return zstandard.compress(packed.getvalue())


def test_a_run_arrives_in_another_registry_with_its_attempts(sent, elsewhere):
    packed = pack(sent)
    there = elsewhere()
    arrived = publish(packed, "day01", attempts=3)
    assert arrived.record == sent.record.model_copy(update={"attempts": 3})
    assert registry.runs() == [arrived.record]
    assert registry.listing().problems == ()
    for path in sent.folder.iterdir():
        if path.name != record.FILE_NAME:
            assert (arrived.folder / path.name).read_bytes() == path.read_bytes()
    assert (there / "day01" / LATEST).read_text() == "{}"
    assert (there / "packages" / f"{sent.record.packages_hash}.txt").read_bytes() == packed.packages
    assert not list(there.glob(".arriving-*"))


def test_in_a_shared_registry_only_the_record_changes(sent):
    before = {path: path.stat().st_ino for path in sent.folder.iterdir()}
    arrived = publish(pack(sent), "day01", attempts=2)
    assert arrived.folder == sent.folder
    changed = {path for path, inode in before.items() if path.stat().st_ino != inode}
    assert changed == {sent.folder / record.FILE_NAME}
    assert registry.runs()[0].attempts == 2


def test_what_is_too_large_stays_and_the_record_says_so(sent, elsewhere, monkeypatch):
    monkeypatch.setattr(parcel, "MAX_BYTES", 10_000)
    packed = pack(sent)
    assert packed.left_bytes == 25_602
    elsewhere()
    arrived = publish(packed, "day01", attempts=1)
    assert [path.name for path in arrived.folder.iterdir()] == [record.FILE_NAME]
    assert arrived.record.reason == "0 MB of its files stayed with the worker"


def test_what_would_unpack_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(parcel, "MAX_BYTES", 10_000)
    with pytest.raises(ParcelError, match="more than 20,000 bytes"):
        unpack(_archive(big=bytes(1_000_000)))


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/b", ".hidden", "..", "a\nb"])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(ParcelError, match="no file of a run"):
        unpack(_archive(**{name: b"x"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_plain_file_is_refused(kind):
    entry = tarfile.TarInfo("link")
    entry.type, entry.linkname = kind, "/etc/passwd"
    with pytest.raises(ParcelError, match="no file of a run"):
        unpack(_archive(link=entry))


@pytest.mark.parametrize("content", [b"", b"nonsense", zstandard.compress(b"no tar" * 500)])
def test_what_is_no_archive_is_refused(content):
    with pytest.raises(ParcelError):
        publish(Parcel("20261124T000000Z-000000", content, b""), "day01", 1)


def test_another_run_than_the_one_asked_for_is_refused(sent, elsewhere):
    packed = pack(sent)
    there = elsewhere()
    for wrong, day in (
        (packed, "day02"),
        (replace(packed, run_id="20261124T000000Z-000000"), "day01"),
        (replace(packed, content=_archive(**{"run.json": b"{}"})), "day01"),
        (replace(packed, content=_archive(other=b"x")), "day01"),
    ):
        with pytest.raises(ParcelError):
            publish(wrong, day, 1)
    assert not there.exists()


def test_a_run_that_has_not_ended_is_refused(sent, elsewhere):
    running = sent.record.model_copy(update={"status": "running"})
    content = _archive(**{"run.json": running.model_dump_json().encode()})
    elsewhere()
    with pytest.raises(ParcelError, match="running"):
        publish(Parcel(running.run_id, content, b""), "day01", 1)
