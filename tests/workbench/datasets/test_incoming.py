"""The waiting room: one fetcher at a time, room on the disk, final names for whole files only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import datasets
from workbench.datasets import incoming
from workbench.datasets.incoming import locked, part_path, publish, require_space
from workbench.datasets.manifest import DataSet
from workbench.datasets.progress import Progress
from workbench.errors import DataError

from .conftest import facts


class Listening(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def toy(use_manifest: Callable[[str], None]) -> DataSet:
    use_manifest(
        '[toy]\nabout = "toy"\nlicence = "MIT"\n[toy.source]\nkind = "files"\nurl = "u"\n'
        f'[[toy.files]]\npath = "deep/toy.bin"\n{facts(b"abc")}\n'
    )
    return datasets.find("toy")


def test_a_second_fetcher_says_so_and_waits(toy: DataSet) -> None:
    order: list[str] = []
    second = Listening()

    def wait() -> None:
        with locked(toy, second):
            order.append("second")

    with locked(toy, Progress()):
        thread = threading.Thread(target=wait)
        thread.start()
        while not second.said:
            thread.join(0.005)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert second.said == ["toy: another process is fetching it, waiting"]


def test_too_little_room_is_refused_with_figures(data: Path) -> None:
    require_space(1)
    with pytest.raises(
        DataError, match=r"needs 1,000,000,000,000 MB and 67 MB to spare, .* are free"
    ):
        require_space(10**18)


def test_room_is_left_to_spare() -> None:
    assert incoming.SPARE_BYTES == 64 * 2**20


def test_a_right_part_gets_its_final_name(toy: DataSet, data: Path) -> None:
    part = part_path(toy.files[0].sha256)
    part.write_bytes(b"abc")
    publish(toy, toy.files[0], part)
    assert (data / "deep/toy.bin").read_bytes() == b"abc"
    assert not part.exists()


def test_a_wrong_part_vanishes_and_the_old_file_stays(toy: DataSet, data: Path) -> None:
    (data / "deep").mkdir(parents=True)
    (data / "deep/toy.bin").write_bytes(b"old")
    part = part_path(toy.files[0].sha256)
    part.write_bytes(b"abd")
    with pytest.raises(DataError, match="not what the manifest names"):
        publish(toy, toy.files[0], part)
    assert not part.exists()
    assert (data / "deep/toy.bin").read_bytes() == b"old"
