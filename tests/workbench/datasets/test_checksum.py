"""Checksums: compared once, remembered until the file changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import datasets
from workbench.datasets.archive import contents_sha256
from workbench.datasets.checksum import check, is_verified, remember, sha256
from workbench.datasets.manifest import DataFile, DataSet, Pack
from workbench.errors import DataError

from .conftest import facts
from .test_archive import make_tar

CONTENT = b"content"


@pytest.fixture
def toy(data: Path, use_manifest: Callable[[str], None]) -> DataSet:
    use_manifest(
        '[toy]\nabout = "toy"\nlicence = "MIT"\n[toy.source]\nkind = "files"\nurl = "u"\n'
        f'[[toy.files]]\npath = "toy.bin"\n{facts(CONTENT)}\n'
    )
    data.mkdir()
    (data / "toy.bin").write_bytes(CONTENT)
    return datasets.find("toy")


def test_a_known_sum(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "abc") == known


def test_a_difference_names_the_file_expected_and_got(toy: DataSet, data: Path) -> None:
    assert check(toy.files[0], data / "toy.bin") == toy.files[0].sha256
    (data / "toy.bin").write_bytes(b"kontent!")
    got = hashlib.sha256(b"kontent!").hexdigest()
    with pytest.raises(DataError) as refused:
        check(toy.files[0], data / "toy.bin")
    for part in ("toy.bin", "7 bytes", toy.files[0].sha256, "8 bytes", got):
        assert part in str(refused.value)


def test_a_file_is_verified_until_it_changes(toy: DataSet, data: Path) -> None:
    (file,) = toy.files
    assert not is_verified(toy, file)
    remember(toy, file)
    assert is_verified(toy, file)
    os.utime(data / "toy.bin", ns=(0, 1))
    assert not is_verified(toy, file)
    remember(toy, file)
    (data / "toy.bin").unlink()
    assert not is_verified(toy, file)


def test_a_changed_manifest_forgets_old_sums(toy: DataSet) -> None:
    (file,) = toy.files
    remember(toy, file)
    assert not is_verified(toy, file.model_copy(update={"sha256": "0" * 64}))


@pytest.mark.parametrize("damage", ["", "[1]", "{"])
def test_a_damaged_memory_is_no_memory(toy: DataSet, data: Path, damage: str) -> None:
    (file,) = toy.files
    remember(toy, file)
    (data / ".verified" / "toy.json").write_text(damage)
    assert not is_verified(toy, file)


def test_a_packed_file_is_known_by_its_members(tmp_path: Path) -> None:
    ours = make_tar(tmp_path / "ours", {"1": b"one"}, "w:xz")
    pack = Pack(member="{}", numbers="1", digits=1, sha256=contents_sha256(ours, 3), bytes=3)
    file = DataFile(path="toy.tar.xz", bytes=1, sha256="0" * 64, pack=pack)
    assert check(file, ours) == sha256(ours)
    with pytest.raises(DataError, match="not what the manifest names"):
        check(file, make_tar(tmp_path / "other", {"1": b"ONE"}, "w:xz"))
