"""Paths: the checkout's folders, moved by the environment, shown without the machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import paths


def test_the_checkout_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (paths.root() / "pyproject.toml").is_file()
    assert paths.notebooks() == paths.root() / "notebooks"


def test_folders_lie_in_the_checkout_unless_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORKBENCH_DATA", "WORKBENCH_RUNS"):
        monkeypatch.delenv(name, raising=False)
    assert paths.data() == paths.root() / "data"
    assert paths.runs() == paths.root() / "papermill_runs"
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "d"))
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "r"))
    assert paths.store() == tmp_path / "d" / "store"
    assert paths.runs() == tmp_path / "r"


def test_a_relative_folder_is_seen_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_RUNS", "mine")
    assert paths.runs() == tmp_path / "mine"


def test_shown_paths_name_no_machine(tmp_path: Path) -> None:
    assert paths.shown(paths.root() / "data" / "x") == "data/x"
    assert paths.shown(tmp_path / "a" / "b") == ".../a/b"
    assert str(tmp_path) not in paths.shown(tmp_path / "a" / "b")
