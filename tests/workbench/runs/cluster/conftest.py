"""A scheduler and workers in processes of their own, and `workbench sweep` in another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench import paths
from workbench.runs.days import Day

DEADLINE_S = 200
SWEEP = """
    import dataclasses, sys
    from workbench.runs import days

    days.DAYS["day01"] = dataclasses.replace(days.DAYS["day01"], notebook=sys.argv.pop(1))
    from workbench.cli import main
    main()
"""


def until(true: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"no {what} within {DEADLINE_S} s"
        time.sleep(0.1)


class Cluster:
    """Processes of one test; each worker has a registry of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        # The lock by which workers take turns lies in the temporary folder.
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(paths.root()),
            "TMPDIR": str(folder),
            "WORKBENCH_DATA": str(folder / "data"),
        }

    def scheduler(self, name: str) -> tuple[subprocess.Popen[str], str]:
        """Start a scheduler; return its process and its address."""
        told = self.folder / f"{name}.json"
        words = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
        process = self._start("dask_scheduler", *words, "--scheduler-file", str(told))
        until(told.exists, "scheduler")
        return process, json.loads(told.read_text())["address"]

    def worker(self, address: str, name: str) -> subprocess.Popen[str]:
        """Start a worker whose runs land in a folder of its own."""
        runs = {"WORKBENCH_RUNS": str(self.runs(name))}
        words = [address, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
        dashboard = ["--dashboard-address", "127.0.0.1:0", "--memory-limit", "0"]
        place = ["--local-directory", str(self.folder / f"{name}-space"), "--name", name]
        return self._start("dask_worker", *words, *dashboard, *place, **runs)

    def runs(self, name: str) -> Path:
        """Return a worker's registry."""
        return self.folder / name

    def sweep(self, day: Day, *words: str) -> subprocess.Popen[str]:
        """Start `workbench sweep day01` on a day's notebook."""
        script = [sys.executable, "-c", textwrap.dedent(SWEEP), str(day.path)]
        tiny = ["sweep", "day01", "--preset", "tiny", *words]
        return self._popen([*script, *tiny], self.environment)

    def _start(self, module: str, *words: str, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *words]
        return self._popen(command, {**self.environment, **more}, subprocess.DEVNULL)

    def _popen(
        self, command: list[str], environment: dict[str, str], out: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, text=True)
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], object], str], None]:
    """Give the function that waits for something another process does."""
    return until


@pytest.fixture
def cluster(tmp_path: Path, runs_folder: Path) -> Iterator[Cluster]:
    """Give processes that end with the test; the sweep's registry is the test's."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.close()
