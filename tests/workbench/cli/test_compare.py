"""`workbench compare`: two runs as a person sees them. A whole sweep is compared in test_sweep."""

from __future__ import annotations

import json

import pytest

from workbench.benchmark import metrics
from workbench.runs import metrics_file, record
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.record import RunFile


@pytest.fixture
def two(runs_folder, data_folder) -> tuple[str, str]:
    """Return the ids of two runs on different machines; one row is equal, one is not."""
    ids = []
    for speed, machine_id, seed in ((1.0, "here", 1), (2.0, "there", 2)):
        begun = record.new("day01", Day01Params(seed=seed), "workbench", label=f"on {machine_id}")
        run_file = RunFile.create(begun.model_copy(update={"machine_id": machine_id}))
        rows = metrics.rows("speed", "GB/s", [speed]).vstack(metrics.rows("size", "bytes", [9.0]))
        metrics_file.write(run_file.folder / metrics_file.FILE_NAME, rows, begun.run_id)
        run_file.finish("ok")
        ids.append(begun.run_id)
    return ids[0], ids[1]


def test_equal_rows_are_folded_and_other_machines_flagged(workbench, two):
    answer = workbench("compare", *two)
    assert answer.code == 0
    assert f"a: {two[0]} ok on here" in answer.out
    assert "different machines" in answer.out
    assert "7 equal parameters folded" in answer.out
    assert "1 equal metrics folded" in answer.out
    assert " size " not in answer.out
    assert " size " in workbench("compare", *two, "--all").out


def test_json_has_every_row(workbench, two):
    told = json.loads(workbench("compare", *two, "--json").out)
    assert told["machines_differ"] is True
    assert {row["metric"]: row["differs"] for row in told["metrics"]} == {
        "size": False,
        "speed": True,
    }
    assert [row["name"] for row in told["params"] if row["differs"]] == ["seed"]


@pytest.mark.parametrize("words", [(), ("x",), ("x", "y", "z"), ("--day", "day01")])
def test_half_a_question_is_a_usage_error(workbench, runs_folder, words):
    answer = workbench("compare", *words)
    assert answer.code == 2
    assert "give either RUN_A RUN_B, or --day DAY --baseline VARIANT --metric METRIC" in answer.err


def test_a_day_without_runs_says_how_to_make_one(workbench, runs_folder):
    words = ("compare", "--day", "day01", "--metric", "speed", "--baseline", "base")
    answer = workbench(*words)
    assert answer.code == 2
    assert "make one: workbench run day01" in answer.err
