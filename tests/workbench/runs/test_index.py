"""index.parquet: equal to a rebuild, never believed when stale, never fatal when broken."""

from __future__ import annotations

import json
import os

import polars as pl
import pytest

from workbench.runs import environment, index, record, registry
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.record import FailedCell, RatioRecord, RunFile, VerdictRecord

VERDICT = VerdictRecord(
    metric="speed",
    claim=">= 2x",
    contender="a",
    baseline="b",
    verdict="holds",
    ratio=RatioRecord(median=2.5, low=2.2, high=2.8, n_rounds=20),
)


@pytest.fixture
def two(runs_folder, data_folder):
    """Return the files of a run that holds and one that failed."""
    made = [RunFile.create(record.new("day01", Day01Params(seed=n), "workbench")) for n in range(2)]
    made[0].finish("ok", verdict=VERDICT)
    made[1].finish("failed", "KeyError: 'x'", failed_cell=FailedCell(number=4))
    return made


def row(frame: pl.DataFrame, run_file: RunFile) -> dict:
    return frame.row(by_predicate=pl.col("run_id") == run_file.record.run_id, named=True)


def test_it_tells_what_the_records_tell(two):
    frame = index.index()
    assert frame.schema == pl.Schema(index.SCHEMA)
    held, failed = (row(frame, run_file) for run_file in two)
    assert (held["status"], held["verdict"], held["ratio_median"]) == ("ok", "holds", 2.5)
    assert (held["claim"], held["ratio_n_rounds"], held["failed_cell"]) == (">= 2x", 20, None)
    assert (failed["status"], failed["failed_cell"], failed["verdict"]) == ("failed", 4, None)
    assert json.loads(failed["params"])["seed"] == 1
    assert held["cpu"] == two[0].record.machine["cpu"]


def test_it_equals_a_rebuild_and_is_not_rebuilt_in_vain(two, monkeypatch):
    first = index.rebuild()
    monkeypatch.setattr(registry, "runs", lambda: pytest.fail("read the records again"))
    assert index.index().equals(first)


def test_a_new_or_changed_record_makes_it_stale(two):
    assert index.index().height == 2
    third = RunFile.create(record.new("day01", Day01Params(), "workbench"))
    assert row(index.index(), third)["status"] == "running"
    third.finish("refuted")
    assert row(index.index(), third)["status"] == "refuted"
    (third.folder / record.FILE_NAME).unlink()
    assert index.index().height == 2


def test_a_run_that_died_is_noticed_although_no_file_changed(two, monkeypatch):
    third = RunFile.create(record.new("day01", Day01Params(), "workbench"))
    assert row(index.index(), third)["status"] == "running"
    monkeypatch.setattr(environment, "is_running", lambda pid, started: False)
    assert row(index.index(), third)["status"] == "killed"


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1"])
def test_a_broken_index_is_replaced(two, runs_folder, content):
    expected = index.index()
    (runs_folder / index.FILE_NAME).write_bytes(content)
    assert index.index().equals(expected)
    assert pl.read_parquet(runs_folder / index.FILE_NAME).equals(expected)


def test_an_index_of_another_schema_is_replaced(two, runs_folder):
    path = runs_folder / index.FILE_NAME
    expected = index.index()
    state = pl.read_parquet_metadata(path)["state"]
    expected.drop("branch").write_parquet(path, metadata={"state": state})
    assert index.index().equals(expected)


def test_a_record_with_odd_facts_does_not_break_it(two):
    path = two[0].folder / record.FILE_NAME
    told = json.loads(path.read_text())
    told["machine"] = {"n_cpu": "many", "extra": 1}
    path.write_text(json.dumps(told))
    assert row(index.index(), two[0])["n_cpu"] is None


def test_an_empty_registry_has_an_empty_index(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "not" / "there"))
    assert index.index().is_empty()
    assert os.listdir(tmp_path / "not" / "there") == [index.FILE_NAME]
