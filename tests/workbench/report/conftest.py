"""The sample runs as fixtures, and folders of their own for what the report reads and writes."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from workbench.report.figures import Figure


def _load(file_name: str) -> ModuleType:
    # Test folders are no packages (importmode=importlib), so a module of theirs is loaded by path.
    name = f"report_{file_name.removesuffix('.py')}"
    if name not in sys.modules:
        path = Path(__file__).with_name(file_name)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    """The builders of run folders (sample_runs.py)."""
    return _load("sample_runs.py")


@pytest.fixture(scope="session")
def profiles() -> ModuleType:
    """A profile, made up (sample_profile.py)."""
    return _load("sample_profile.py")


@pytest.fixture(scope="session")
def hostile() -> ModuleType:
    """The payloads, and the eye for live ones (hostile.py)."""
    return _load("hostile.py")


@pytest.fixture(scope="session")
def rows(samples: ModuleType) -> pl.DataFrame:
    """Metric rows in Day 1's shapes."""
    frame: pl.DataFrame = samples.day1_parts()[0]
    return frame


@pytest.fixture(scope="session")
def figures(samples: ModuleType) -> list[Figure]:
    """Day 1's charts."""
    made: list[Figure] = samples.day1_parts()[1]
    return made


@pytest.fixture(scope="session")
def bundle_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder kept for the session, because building the Vega bundle takes seconds."""
    folder: Path = tmp_path_factory.mktemp("report-data")
    return folder


@pytest.fixture
def registry(tmp_path: Path, bundle_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty runs folder of this test's own."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("WORKBENCH_RUNS", str(folder))
    monkeypatch.setenv("WORKBENCH_DATA", str(bundle_cache))
    return folder
