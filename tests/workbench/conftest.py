"""Fixtures of more than one room: a folder on a real disk, and the skip of tests that need fio."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import paths
from workbench.benchmark import fio
from workbench.tiering.async_io import residency


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("fio") and not fio.available():
        pytest.skip(f"needs fio: {fio.ENABLE}")


@pytest.fixture
def disk_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files can leave memory; /tmp may be a tmpfs, where storage has no device."""
    for candidate in (tmp_path, Path("/var/tmp"), paths.root() / "data"):
        if candidate.is_dir():
            with tempfile.TemporaryDirectory(dir=candidate, prefix=".test-") as name:
                if _on_disk(Path(name)):
                    yield Path(name)
                    return
    pytest.skip("no folder on a disk was found: run pytest with --basetemp=FOLDER on a disk")


def _on_disk(folder: Path) -> bool:
    if not hasattr(os, "posix_fadvise"):
        return True
    probe = folder / "probe"
    probe.write_bytes(bytes(65536))
    with probe.open("rb") as file:
        kept = residency.drop_cache(file.fileno())
    probe.unlink()
    return kept == 0
