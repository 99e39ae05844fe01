"""Archives: the member asked for and nothing else, whatever the archive says about itself."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from workbench.datasets.archive import contents_sha256, extract_member, repack
from workbench.errors import DataError


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mtime = 1
            archive.addfile(entry, io.BytesIO(content))
    return path


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(params=["zip", "tar.gz"])
def toy(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    members = {"a/b.bin": b"b" * 100, "../escape": b"evil", "/absolute": b"evil"}
    make = make_zip if request.param == "zip" else make_tar
    return make(tmp_path / "toy", members), request.param


def test_a_member_is_written_where_we_say(toy: tuple[Path, str], tmp_path: Path) -> None:
    extract_member(*toy, "a/b.bin", tmp_path / "out", 100)
    assert (tmp_path / "out").read_bytes() == b"b" * 100


def test_a_members_name_never_becomes_a_path(toy: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    extract_member(*toy, "../escape", folder / "out", 4)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "out", "toy"]


@pytest.mark.parametrize(("n_bytes", "got"), [(99, "more than 99"), (101, "100")])
def test_another_size_is_refused(
    toy: tuple[Path, str], tmp_path: Path, n_bytes: int, got: str
) -> None:
    with pytest.raises(DataError, match=f"holds {got} bytes"):
        extract_member(*toy, "a/b.bin", tmp_path / "out", n_bytes)
    assert (tmp_path / "out").stat().st_size <= n_bytes


def test_a_missing_member_is_named(toy: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read nothing\.bin"):
        extract_member(*toy, "nothing.bin", tmp_path / "out", 1)


@pytest.mark.parametrize("archive_format", ["zip", "tar.gz"])
def test_a_damaged_archive_is_a_data_error(archive_format: str, tmp_path: Path) -> None:
    make = make_zip if archive_format == "zip" else make_tar
    archive = make(tmp_path / "toy", {"a": bytes(range(256)) * 400})
    content = bytearray(archive.read_bytes())
    content[60:70] = b"\x00" * 10
    archive.write_bytes(content)
    with pytest.raises(DataError, match="cannot read a"):
        extract_member(archive, archive_format, "a", tmp_path / "out", 102_400)


def test_what_is_no_archive_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "toy").write_bytes(b"<html>please log in</html>")
    for archive_format in ("zip", "tar.gz"):
        with pytest.raises(DataError, match="cannot read a"):
            extract_member(tmp_path / "toy", archive_format, "a", tmp_path / "out", 1)


def test_packing_again_keeps_chosen_members_under_new_names(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "toy", {"top/1": b"one", "top/2": b"two", "top/3": b"three"})
    repack(archive, {"uno": "top/1", "tres": "top/3"}, tmp_path / "out", 8)
    with tarfile.open(tmp_path / "out", "r:xz") as packed:
        assert {entry.name: entry.mtime for entry in packed} == {"uno": 0, "tres": 0}
        source = packed.extractfile("tres")
        assert source is not None
        assert source.read() == b"three"


def test_packing_again_is_bounded_and_complete(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "toy", {"top/1": b"one", "top/2": b"two"})
    with pytest.raises(DataError, match="more than 5 bytes"):
        repack(archive, {"1": "top/1", "2": "top/2"}, tmp_path / "out", 5)
    with pytest.raises(DataError, match="lacks 2 members, the first top/8"):
        repack(archive, {"8": "top/8", "9": "top/9"}, tmp_path / "out", 5)


def test_contents_are_known_whatever_the_container(tmp_path: Path) -> None:
    members = {"b": b"two", "a": b"one"}
    gz = make_tar(tmp_path / "gz", members)
    xz = make_tar(tmp_path / "xz", dict(sorted(members.items())), "w:xz")
    lines = [f"{name} 3 {hashlib.sha256(members[name]).hexdigest()}\n" for name in ("a", "b")]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert contents_sha256(gz, 6) == contents_sha256(xz, 6) == expected
    assert contents_sha256(make_tar(tmp_path / "other", {"a": b"onE", "b": b"two"}), 6) != expected


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "toy", {"a": bytes(50_000_000)}, "w:xz")
    assert archive.stat().st_size < 50_000
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        contents_sha256(archive, 1_000)
