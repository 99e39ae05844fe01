"""Data sets by name: where their files are, in what state, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import datasets
from workbench.errors import DataError, UsageError

from .conftest import files_manifest


@pytest.fixture(autouse=True)
def toys(data: Path, use_manifest: Callable[[str], None]) -> Path:
    use_manifest(files_manifest("http://127.0.0.1:9", one=b"one", two=b"two"))
    folder = data / "toys"
    folder.mkdir(parents=True)
    return folder


def test_the_state_goes_from_absent_to_present(toys: Path) -> None:
    toy = datasets.find("toy")
    assert datasets.state(toy) == "absent"
    (toys / "one.bin").write_bytes(b"one")
    assert datasets.state(toy) == "partial"
    (toys / "two.bin").write_bytes(b"short"[:2])
    assert datasets.state(toy) == "partial"
    (toys / "two.bin").write_bytes(b"two")
    assert datasets.state(toy) == "present"


def test_a_path_is_given_by_file_name(toys: Path) -> None:
    (toys / "two.bin").write_bytes(b"two")
    assert datasets.path("toy", "two.bin") == toys / "two.bin"


def test_an_absent_file_says_how_to_fetch_it() -> None:
    with pytest.raises(DataError, match="workbench data get toy"):
        datasets.path("toy", "one.bin")


def test_one_of_several_files_must_be_named() -> None:
    for file_name in (None, "three.bin"):
        with pytest.raises(DataError, match=r"name one of one\.bin, two\.bin"):
            datasets.path("toy", file_name)


def test_an_unknown_data_set_is_refused() -> None:
    for ask in (datasets.path, datasets.get):
        with pytest.raises(UsageError, match="did you mean toy"):
            ask("toi")


def test_verifying_tells_right_wrong_and_absent_apart(toys: Path) -> None:
    (toys / "one.bin").write_bytes(b"ONE")
    verdicts = dict(datasets.verify(datasets.find("toy")))
    one, two = (verdicts[file] for file in datasets.find("toy").files)
    assert "not what the manifest names" in one
    assert two == "absent"
