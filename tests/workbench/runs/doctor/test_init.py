"""The whole examination: everything is looked at, and a broken installation still answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from workbench import paths
from workbench.runs.doctor import examine

NAMES = [
    *("python", "packages", "charts", "import names", "kernelspec", "numba"),
    *("store", "free space", "direct I/O", "page size", "SSD", "read"),
    *("sealing", "sealing key"),
    *("CPU governor", "chromium", "fio", "profiler", "counters", "peers", "fonts", "model"),
    "outputs",
]


def test_every_check_is_made_in_order(tmp_path: Path) -> None:
    found = examine(tmp_path)
    assert list(found) == NAMES
    assert all(one.found for one in found.values())


def test_a_store_that_cannot_be_made_fails_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = examine(tmp_path / "file" / "store")
    assert found["store"].status == "fail"
    assert found["outputs"].status == "ok"


def test_a_broken_installation_is_told_not_thrown(tmp_path: Path) -> None:
    for name in ("psutil", "altair"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('gone', name='{name}')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(paths.root())])}
    script = "from pathlib import Path; from workbench.runs.doctor import examine\n"
    script += "print(examine(Path('x'))['machine'].found)"
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    assert run.stdout.strip() == "not looked at: psutil cannot be imported"
