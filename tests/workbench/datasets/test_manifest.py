"""The manifest: the real one is sound, a wrong one is refused with every problem named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import paths
from workbench.datasets import manifest
from workbench.datasets.checksum import check
from workbench.errors import DataError, UsageError

UseManifest = Callable[[str], None]


def test_the_real_manifest_names_every_data_set_with_its_licence() -> None:
    found = manifest.load()
    assert found["smollm2-135m"].files[0].bytes == 98_362_432
    assert {"mooncake-conversation", "wikitext-2", "tokenizer-vectors"} <= set(found)
    assert all(data_set.licence and data_set.about for data_set in found.values())


def test_no_two_data_sets_share_a_file() -> None:
    files = [file.path for data_set in manifest.load().values() for file in data_set.files]
    assert len(files) == len(set(files))


def test_every_file_that_the_mirror_holds_is_what_the_manifest_says() -> None:
    mirror = Path(paths.root(), os.environ.get("WORKBENCH_DATA_MIRROR") or "data")
    for data_set in manifest.load().values():
        for file in data_set.files:
            if (mirror / file.path).is_file():
                assert len(check(file, mirror / file.path)) == 64


def test_addresses_are_fixed_to_a_commit_or_a_version() -> None:
    for data_set in manifest.load().values():
        if isinstance(data_set.source, manifest.PackageSource):
            assert data_set.source.version
        else:
            assert any(len(part) == 40 for part in data_set.source.url.split("/")), data_set.name


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean smollm2-135m"):
        manifest.find("smolm2-135m")
    with pytest.raises(UsageError, match="known: smollm2-135m"):
        manifest.find("zzz")


def test_every_problem_is_listed_at_once(use_manifest: UseManifest) -> None:
    use_manifest(
        '[toy]\nabout = "toy"\nlicence = "MIT"\ncolour = "red"\n'
        '[toy.source]\nkind = "files"\nurl = "u"\n'
        '[[toy.files]]\npath = "../escape"\nbytes = 0\nsha256 = "short"\n'
    )
    with pytest.raises(DataError) as refused:
        manifest.load()
    for problem in ("colour", "without '..'", "greater than 0", "sha256"):
        assert problem in str(refused.value)


@pytest.mark.parametrize("path", ["/etc/passwd", "a/../../b", "", "a\\b"])
def test_a_file_cannot_leave_the_data_folder(path: str) -> None:
    with pytest.raises(ValueError, match=r"without '\.\.'"):
        manifest.DataFile(path=path, bytes=1, sha256="0" * 64)


def test_a_missing_manifest_says_where_it_should_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(manifest, "manifest_path", lambda: tmp_path / "manifest.toml")
    with pytest.raises(DataError, match=r"no manifest at \.\.\./.*/manifest\.toml"):
        manifest.load()


def test_a_pack_names_its_members_by_number() -> None:
    pack = manifest.Pack(
        member="top/x_{}.json", numbers="1-3\n7", digits=3, sha256="0" * 64, bytes=1
    )
    assert pack.members() == {f"x_00{n}.json": f"top/x_00{n}.json" for n in (1, 2, 3, 7)}
