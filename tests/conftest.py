"""Fixtures of the whole suite: folders of a test's own, and the skips of what is not installed."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

# What a marker needs: names the program may go by, and how to come by it.
NEEDS = {
    "browser": (("chromium", "chromium-browser", "google-chrome"), "apt-get install chromium"),
    "fio": (("fio",), "apt-get install fio, or brew install fio"),
    "strace": (("strace",), "apt-get install strace"),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (programs, how) in NEEDS.items():
        if item.get_closest_marker(marker) and not any(map(shutil.which, programs)):
            pytest.skip(f"needs {programs[0]}, which is not on PATH; to enable: {how}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, rather than skip, what needs an extra that is not in the lock."""
    if importlib.util.find_spec("transformers"):
        return
    left_out = [item for item in items if item.get_closest_marker("transformers")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let runs and reports land in a folder of the test's own."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("WORKBENCH_RUNS", str(folder))
    return folder


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let downloads and stores land in a folder of the test's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("WORKBENCH_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def chromium() -> str | None:
    """Return the path of the browser that tests marked ``browser`` drive."""
    return next(filter(None, map(shutil.which, NEEDS["browser"][0])), None)
