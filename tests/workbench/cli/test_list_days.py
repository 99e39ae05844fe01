"""`workbench list`: the days and what became of them last."""

from __future__ import annotations

import json

from workbench.runs import record
from workbench.runs.days import DAYS, EXPERIMENTS
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.record import RunFile


def test_days_without_runs_are_listed_too(workbench, runs_folder):
    answer = workbench("list", "--json")
    told = json.loads(answer.out)
    assert answer.code == 0
    assert [(one["day"], one["last"], one["age"]) for one in told] == [
        (name, None, None) for name in (*DAYS, *EXPERIMENTS)
    ]


def test_the_last_run_counts_whatever_became_of_it(workbench, runs_folder, data_folder):
    for status in ("ok", "killed"):
        run_file = RunFile.create(record.new("day01", Day01Params(), "workbench"))
        run_file.finish(status)
    answer = workbench("list")
    assert answer.code == 0
    assert "killed" in answer.out
    assert run_file.record.run_id[-6:] in answer.out
