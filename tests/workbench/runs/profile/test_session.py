"""Whole profiles: a verb plain and sampled, one that fails, a notebook's cell by its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kernels import symbol_map
from workbench import paths, phases
from workbench.profiling import sampler, stacks, symbols
from workbench.profiling.sampler import Sampling
from workbench.report import build
from workbench.runs import index, registry
from workbench.runs.days import Day
from workbench.runs.profile import profile_file, session
from workbench.runs.profile.session import Request
from workbench.runs.profile.target import Target

SPIN = """import time
end = time.thread_time() + 0.5
while time.thread_time() < end:
    sum(range(999))"""


@pytest.fixture(autouse=True)
def _may_sample() -> None:
    try:
        sampler.check()
    except sampler.SamplerError as error:
        pytest.skip(str(error))


def test_a_verb_is_run_plain_and_sampled_and_gets_a_page(runs_folder: Path) -> None:
    said: list[str] = []
    done = session.profile(Request(Target("list", ("list", "--json")), 100, label="x"), said.append)
    assert (done.record.status, done.record.kind, done.record.day) == ("ok", "profile", "profile")
    assert done.record.params["command"] == "workbench list --json"
    assert [line.split(":")[0] for line in said][::2] == [
        "without the sampler, for comparison",
        "once more without the sampler",
    ]
    profile = profile_file.read(done.folder)
    assert len(profile.plain_s) == 2
    assert profile.n_samples > 10
    assert sum(one.seconds for one in profile.stacks) > 0
    assert profile.usage is not None
    assert profile.usage.minor_faults > 0
    assert bool(profile.counters) != bool(profile.counters_reason)
    assert registry.find(done.record.run_id) == done.record
    assert index.index()["kind"].to_list() == ["profile"]
    report = build.build_report()
    page = (report.index.parent / "profile.html").read_text()
    assert "Profile of workbench list --json" in page
    assert 'href="profile.html"' in report.index.read_text()
    for trace in (str(paths.root()), str(runs_folder), str(Path.home()), sys.executable):
        assert trace not in page
        assert trace not in (done.folder / profile_file.FILE_NAME).read_text()


@pytest.mark.usefixtures("runs_folder")
def test_a_command_that_fails_is_not_sampled_and_says_so() -> None:
    done = session.profile(Request(Target("params", ("params", "day99")), 100))
    assert (done.record.status, done.profile) == ("failed", None)
    assert "exit code 2" in done.record.reason
    assert done.record.exit_code == 3
    page = build.build_run_page(done.record.run_id)
    assert "exit code 2" in page.read_text()


def test_a_notebooks_hot_cell_appears_by_its_number_and_tag(
    make_day: Callable[..., Day], tmp_path: Path
) -> None:
    setup = '[setup] from workbench import day\n\nd = day.open("day01", locals())'
    day = make_day(setup, f"[measure] {SPIN}", "d.close()")
    program = (
        "import dataclasses, sys\n"
        "from workbench.runs import execute\n"
        "from workbench.runs.request import Request\n"
        "from workbench.runs.days import DAYS\n"
        "day = dataclasses.replace(DAYS['day01'], notebook=sys.argv[1])\n"
        "execute.run(Request(day, day.params(preset='tiny', store=sys.argv[2])))\n"
    )
    (tmp_path / "run.py").write_text(program)
    sampler.record(
        [sys.executable, str(tmp_path / "run.py"), day.notebook, str(tmp_path / "store")],
        {
            **os.environ,
            "PYTHONPATH": str(paths.root()),
            "WORKBENCH_RUNS": str(tmp_path / "runs"),
            phases.FOLDER_VARIABLE: str(tmp_path),
            symbol_map.FOLDER_VARIABLE: str(tmp_path),
        },
        Sampling(50, native=False),
        tmp_path / "samples.json",
        2,
    )
    cells = Target("day01", (), day).cells()
    found = stacks.read(tmp_path / "samples.json", cells, symbols.read_all(tmp_path))
    hot = sum(
        seconds for stack, seconds in found.stacks.items() if stack[0].name == "cell 4 (measure)"
    )
    assert hot > 0.25
    (pid,) = found.pids  # papermill's own process does not count
    assert phases.path(tmp_path, pid).exists()
