"""The mirror folder: the same files by copying, checked the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import datasets, paths
from workbench.datasets import mirror
from workbench.errors import DataError

from .conftest import files_manifest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "mirror"
    (place / "toys").mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_DATA_MIRROR", str(place))
    return place


def test_files_come_from_the_mirror_and_the_rest_from_the_source(
    server, folder: Path, use_manifest: Callable[[str], None]
) -> None:
    use_manifest(files_manifest(server.url, one=b"one", two=b"two"))
    (folder / "toys/one.bin").write_bytes(b"one")
    server.files = {"/two.bin": b"two"}
    assert [path.read_bytes() for path in datasets.get("toy")] == [b"one", b"two"]
    assert [path for path, _ in server.asked] == ["/two.bin"]


def test_a_wrong_file_in_the_mirror_is_refused(
    server, folder: Path, use_manifest: Callable[[str], None], data: Path
) -> None:
    use_manifest(files_manifest(server.url, one=b"one"))
    (folder / "toys/one.bin").write_bytes(b"ONE")
    with pytest.raises(DataError, match=r"the mirror's toys/one\.bin: .*nothing was kept"):
        datasets.get("toy")
    assert not (data / "toys/one.bin").exists()
    assert server.asked == []


def test_a_mirror_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA_MIRROR", "no/such/folder")
    with pytest.raises(DataError, match="names no folder: 'no/such/folder'"):
        mirror.folder()


def test_a_relative_mirror_is_seen_from_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA_MIRROR", "tests")
    monkeypatch.chdir(tmp_path)
    assert mirror.folder() == paths.root() / "tests"
    monkeypatch.setenv("WORKBENCH_DATA_MIRROR", "")
    assert mirror.folder() is None
