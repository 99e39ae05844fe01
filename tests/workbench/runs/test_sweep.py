"""Sweeps: every run leaves a row, two at a time do not disturb each other's registry."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import nbformat
import pytest

from workbench import paths
from workbench.errors import UsageError
from workbench.runs import index, record, registry, request
from workbench.runs.days import DAYS
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.grid import grid
from workbench.runs.record import RunFile
from workbench.runs.request import Request
from workbench.runs.stop import Stop
from workbench.runs.sweep import Sweep, remaining, run_all, worst_exit_code

DAY = DAYS["day01"]
TINY = grid(Day01Params, ["seed=1,2"], "tiny")


def test_the_grid_is_finished_before_it_is_repeated():
    requests = Sweep(DAY, TINY, repeat=2, label="x", timeout_s=9).requests()
    assert [request.params.seed for request in requests] == [1, 2, 1, 2]
    assert {(r.label, r.cell_timeout_s, r.contended) for r in requests} == {("x", 9, False)}


def test_parallel_runs_must_be_tiny_or_wanted():
    standard = grid(Day01Params, ["preset=tiny,standard"])
    with pytest.raises(UsageError, match="--jobs 2 would make the measurements compete"):
        Sweep(DAY, standard, jobs=2)
    assert all(r.contended for r in Sweep(DAY, standard, jobs=2, contended=True).requests())
    assert all(r.contended for r in Sweep(DAY, TINY, jobs=2).requests())


def test_jobs_and_a_scheduler_are_not_given_together():
    with pytest.raises(UsageError, match="give one of them"):
        Sweep(DAY, TINY, jobs=2, scheduler="tcp://127.0.0.1:8786")


def test_the_same_grid_with_the_same_label_has_the_same_id():
    one = Sweep(DAY, TINY, label="x")
    assert one.id == Sweep(DAY, TINY[::-1], repeat=2, label="x").id
    others = {Sweep(DAY, TINY, label="y").id, Sweep(DAY, TINY[:1], label="x").id}
    assert one.id not in others
    assert {request.sweep for request in one.requests()} == {one.id}


def test_counts_below_one_are_refused_together():
    with pytest.raises(UsageError) as caught:
        Sweep(DAY, TINY, repeat=0, jobs=-1)
    assert len(caught.value.problems) == 2


def test_resuming_leaves_out_what_came_to_its_end(runs_folder, data_folder):
    def ran(seed: int, status: record.Status, label: str = "x") -> None:
        params = Day01Params(preset="tiny", seed=seed)
        RunFile.create(record.new("day01", params, "workbench", label=label)).finish(status)

    ran(1, "refuted")
    ran(2, "failed")
    ran(2, "ok", label="another")
    sweep = Sweep(DAY, TINY, repeat=2, label="x")
    assert [request.params.seed for request in remaining(sweep)] == [2, 1, 2]
    ran(1, "ok")
    assert [request.params.seed for request in remaining(sweep)] == [2, 2]


def test_resuming_does_not_count_runs_of_another_machine(runs_folder, data_folder):
    there = record.new("day01", Day01Params(preset="tiny", seed=1), "workbench")
    RunFile.create(there.model_copy(update={"machine_id": "0123456789ab"})).finish("ok")
    assert [request.params.seed for request in remaining(Sweep(DAY, TINY))] == [1, 2]


def test_a_failure_stops_no_other_and_the_worst_exit_code_counts(
    make_day, setup_cell, runs_folder, data_folder
):
    day = make_day(setup_cell, "1 / (seed - 1)", "d.close()")
    heard: list[tuple[int, str]] = []
    requests = [Request(day, Day01Params(preset="tiny", seed=seed)) for seed in (1, 2)]
    runs = run_all(
        requests, Stop(), ended=lambda number, run: heard.append((number, run.record.status))
    )
    assert [run.record.status for run in runs] == ["failed", "ok"]
    assert heard == [(0, "failed"), (1, "ok")]
    assert worst_exit_code(runs, Stop()) == 3
    assert worst_exit_code(runs[1:], Stop()) == worst_exit_code([], Stop()) == 0
    assert not runs[1].record.contended  # one after the other is not beside each other


def test_nothing_new_begins_once_its_user_stopped_it(make_day, runs_folder, data_folder):
    stop = Stop()
    stop.soon.set()
    requests = [Request(make_day("x = 1"), point) for point in TINY]
    assert run_all(requests, stop) == []
    assert worst_exit_code([], stop) == 130
    assert registry.runs() == []


SWEEP = """
    import dataclasses, sys
    from workbench.runs import days

    notebook, label, jobs = sys.argv[1:]
    days.DAYS["day01"] = dataclasses.replace(days.DAYS["day01"], notebook=notebook)
    sys.argv = ["workbench", "sweep", "day01", "-p", "block_kib=4,256", "--repeat", "2",
                "-p", "seed=3", "--preset", "tiny", "--label", label, "--jobs", jobs, "--json"]
    from workbench.cli import main
    main()
"""


def test_two_sweeps_at_once_lose_no_row(make_day, setup_cell, runs_folder, data_folder):
    day = make_day(setup_cell, "d.close()")
    python_path = {**os.environ, "PYTHONPATH": str(paths.root())}
    sweeps = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SWEEP), str(day.path), label, jobs],
            env=python_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for label, jobs in (("one", "1"), ("two", "2"))
    ]
    for sweep in sweeps:
        out, err = sweep.communicate()
        assert sweep.returncode == 0, err
        assert len(out.splitlines()) == 4
        assert "Address already in use" not in err
    runs = registry.runs()
    assert sorted((run.label, run.params["block_kib"]) for run in runs) == sorted(
        (label, size) for label in ("one", "two") for size in (4, 256) for _ in range(2)
    )
    assert {run.status for run in runs} == {"ok"}
    assert all(run.contended for run in runs if run.label == "two")
    for run in runs:
        nbformat.read(registry.run_folder(run) / request.NOTEBOOK, as_version=4)
    known = index.index()
    assert known.height == 8
    assert known.equals(index.rebuild())
    assert not [path for path in Path(tempfile.gettempdir()).glob(f"workbench-{sweeps[0].pid}-*")]
