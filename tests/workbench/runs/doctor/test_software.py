"""The installation: what the tests run on is sound, and each way of being wrong is named."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from workbench import paths
from workbench.runs.doctor import software


@pytest.mark.parametrize(
    ("found", "status"),
    [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 14, 2), "ok"), ((3, 15, 0), "warn")],
)
def test_the_interpreter_is_old_right_or_untested(found: tuple[int, ...], status: str) -> None:
    assert software.python(found).status == status


def test_every_check_is_ok_where_the_tests_run() -> None:
    found = {name: check() for name, check in software.CHECKS.items() if name != "numba"}
    assert {name: one for name, one in found.items() if one.status != "ok"} == {}


def test_the_pins_are_exact() -> None:
    assert software.pins()["polars"] == "2.1.0"
    assert all(pinned[0].isdigit() for pinned in software.pins().values())


def checkout(folder: Path, dependencies: list[str]) -> Path:
    folder.joinpath("pyproject.toml").write_text(
        "[project]\ndependencies = " + json.dumps(dependencies)
    )
    return folder


def test_another_version_warns_and_a_missing_package_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "root", lambda: checkout(tmp_path, ["numpy==1.0", "rich==15.0.0"]))
    other = software.packages()
    assert other.status == "warn"
    assert "(pinned 1.0)" in other.found
    monkeypatch.setattr(paths, "root", lambda: checkout(tmp_path, ["no-such-package==1.0"]))
    missing = software.packages()
    assert (missing.status, missing.found) == ("fail", "missing: no-such-package")


def test_names_from_elsewhere_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    found = software.import_names()
    assert (found.status, found.found) == ("fail", "kernels and workbench come from elsewhere")


def test_a_kernel_of_another_environment_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {"argv": ["elsewhere/bin/python"], "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert software.kernelspec().status == "fail"
    (folder / "kernel.json").write_text(json.dumps({**spec, "argv": [sys.executable]}))
    assert software.kernelspec().status == "ok"


def test_a_cache_that_cannot_be_written_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert software.numba_cache().endswith("cache")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    assert software.numba().status == "warn"


def test_the_cpus_are_those_this_process_may_use() -> None:
    assert 1 <= len(software.os_cpus()) <= (os.cpu_count() or 1)
