"""What a person reads before and after a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl

from workbench.benchmark import metrics
from workbench.runs import metrics_file, record, summary
from workbench.runs.days import DAYS
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.record import FailedCell, RatioRecord, RunFile, RunRecord, VerdictRecord
from workbench.runs.request import Request, Run

RATIO = RatioRecord(median=2.5, low=2.25, high=2.75, n_rounds=20)
VERDICT = VerdictRecord(
    metric="speed", claim=">= 3x", contender="a", baseline="b", verdict="refuted", ratio=RATIO
)


def ended(folder: Path, **fields) -> Run:
    (folder / "out.ipynb").touch()
    told = {"run_id": "20260101T000000Z-abc123", "day": "day01", "wall_s": 75.0, **fields}
    return Run(RunRecord(**told), folder)


def test_changed_parameters_are_marked():
    params = Day01Params(block_kib=4)
    lines = summary.announce(Request(DAYS["day01"], params, timeout_s=90))
    assert lines[0] == "day01: Day 1: baseline"
    assert "  * block_kib = 4   (default 16)" in lines
    assert "    medium = device" in lines
    assert sum(line.startswith("  *") for line in lines) == 1
    assert lines[-1] == "  each cell may take 1 min 30 s"


def test_a_complete_run_shows_verdict_notebook_and_the_way_to_the_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ended(tmp_path, status="refuted", reason="Not this time.", verdict=VERDICT)
    assert summary.conclude(run) == [
        "refuted: run 20260101T000000Z-abc123 of day01, 1 min 15 s",
        "  verdict   refuted: speed, a against b: 2.50x [2.25, 2.75], claim >= 3x",
        "  reason    Not this time.",
        "  notebook  out.ipynb",
        "  report    workbench report day01",
    ]


def test_a_failed_run_shows_the_cell_and_the_way_back_into_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    cell = FailedCell(number=4, tag="measure", first_line="x = 1 / 0")
    run = ended(tmp_path, status="failed", reason="ZeroDivisionError: by zero", failed_cell=cell)
    notebook = f"{tmp_path.name}/out.ipynb"
    assert summary.conclude(run)[1:] == [
        "  reason    ZeroDivisionError: by zero",
        "  cell      4 [measure]: x = 1 / 0",
        f"  partial   {notebook}",
        f"  reopen    {summary.near(Path(sys.executable))} -m jupyterlab {notebook}",
    ]


def test_a_run_without_a_notebook_points_to_none(tmp_path):
    run = ended(tmp_path, status="failed", reason="RuntimeError: no kernel")
    run.notebook.unlink()
    assert len(summary.conclude(run)) == 2
    assert summary.as_json(run)["notebook"] is None


def test_json_is_the_record_and_the_notebook(tmp_path):
    run = ended(tmp_path, status="ok", verdict=VERDICT)
    told = json.loads(json.dumps(summary.as_json(run)))
    assert RunRecord.model_validate(told) == run.record
    assert told["notebook"] == str(tmp_path / "out.ipynb")


def test_a_sweeps_table_shows_what_varies(tmp_path):
    params = [{"seed": 1, "medium": "device"}, {"seed": 2, "medium": "device"}]
    one = ended(tmp_path, status="ok", params=params[0], verdict=VERDICT)
    two = ended(tmp_path, status="failed", params=params[1], reason="KeyError")
    assert summary.as_rows([one.record, two.record], summary.varying([one.record, two.record])) == [
        {
            "run": "abc123",
            "seed": 1,
            "status": "ok",
            "ratio": "2.50x",
            "seconds": 75.0,
            "reason": None,
        },
        {
            "run": "abc123",
            "seed": 2,
            "status": "failed",
            "ratio": None,
            "seconds": 75.0,
            "reason": "KeyError",
        },
    ]
    assert summary.as_rows([], summary.varying([])) == []


def test_machines_stand_in_groups_and_a_retried_run_is_marked(tmp_path):
    one = ended(tmp_path, status="ok", params={"seed": 1}, machine_id="a").record
    two = ended(tmp_path, status="ok", params={"seed": 2}, machine_id="b", attempts=2).record
    groups = summary.by_machine([one, two, one])
    assert groups == {"a": [one, one], "b": [two]}
    assert [row["begun"] for row in summary.as_rows([one, two], ["seed"])] == [1, 2]
    assert "begun" not in summary.as_rows([one], ["seed"])[0]


def test_a_sweeps_table_shows_the_figures_that_a_day_names(runs_folder, data_folder):
    run = RunFile.create(record.new("day01", Day01Params(preset="tiny"), "workbench"))
    rows = [
        metrics.rows("hits", "ratio", [0.25], variant="a"),
        metrics.rows("hits", "ratio", [0.5], variant="b"),
        metrics.rows("wait", "s", [1.0, 2.0, 9.0]),
    ]
    metrics_file.write(run.folder / metrics_file.FILE_NAME, pl.concat(rows), run.record.run_id)
    run.finish("ok")
    (row,) = summary.as_rows([run.record], ["preset"], ["wait", "hits", "unknown"])
    assert list(row)[:5] == ["run", "preset", "wait", "hits", "unknown"]
    assert (row["wait"], row["hits"], row["unknown"]) == ("2 s", "0.25", None)
