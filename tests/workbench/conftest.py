"""Fixtures of more than one room: a real disk, golden outputs, the skip of tests that need fio."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import paths
from workbench.benchmark.storage import fio
from workbench.tiering.async_io import residency


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("fio") and not fio.available():
        pytest.skip(f"needs fio: {fio.ENABLE}")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Return the folder of golden outputs, which lies beside the data mirror."""
    mirror = os.environ.get("WORKBENCH_DATA_MIRROR") or "../shared/data"
    folder = Path(paths.root(), mirror).parent / "golden"
    if not folder.is_dir():
        pytest.skip("needs the golden outputs: a folder `golden` beside WORKBENCH_DATA_MIRROR's")
    return folder


@pytest.fixture(scope="session")
def disk_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose files can leave memory.

    /tmp may be a tmpfs; there storage has no device, and a sweep rightly refuses to measure.
    """
    for candidate in (tmp_path_factory.getbasetemp(), Path("/var/tmp"), paths.root() / "data"):
        if candidate.is_dir() and _on_disk(candidate):
            return candidate
    pytest.skip("no folder on a disk was found: run pytest with --basetemp=FOLDER on a disk")


@pytest.fixture
def disk_folder(disk_root: Path) -> Iterator[Path]:
    """Return an empty folder on a disk, removed afterwards."""
    with tempfile.TemporaryDirectory(dir=disk_root, prefix=".test-") as name:
        yield Path(name)


def _on_disk(folder: Path) -> bool:
    if not hasattr(os, "posix_fadvise"):
        return True
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".test-") as probe:
        probe.write(bytes(65536))
        probe.flush()
        return residency.drop_cache(probe.fileno()) == 0
