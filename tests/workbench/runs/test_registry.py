"""The registry: every run.json counts, whoever wrote it; nothing else does."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import pytest

from workbench.benchmark import metrics as metric_rows
from workbench.errors import UsageError
from workbench.runs import environment, metrics_file, record, registry


def put(folder, run_id: str, **fields: Any):
    """Write a run.json by hand, as another version or another machine would have."""
    told = {"run_id": run_id, "day": "day01", "status": "ok", "started": _started(run_id)}
    place = folder / str(fields.get("day", "day01")) / run_id
    place.mkdir(parents=True)
    (place / record.FILE_NAME).write_text(json.dumps({**told, **fields}))
    return place


def _started(run_id: str) -> str:
    day, _, clock = run_id.partition("T")
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:6]}.000+00:00"


OLD, MIDDLE, NEW = "20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb", "20260103T000000Z-cccccc"


@pytest.fixture
def three(runs_folder):
    """Return the folder of three runs."""
    put(runs_folder, MIDDLE, status="refuted", preset="tiny")
    put(runs_folder, OLD, preset="full")
    put(runs_folder, NEW, status="failed", preset="tiny", day="day02")
    return runs_folder


def ids(runs) -> list[str]:
    return [run.run_id for run in runs]


def test_runs_are_listed_newest_first(three):
    assert ids(registry.runs()) == [NEW, MIDDLE, OLD]
    assert ids(registry.runs("day01")) == [MIDDLE, OLD]


def test_an_empty_or_missing_folder_has_no_runs(runs_folder):
    assert registry.runs() == []
    runs_folder.rmdir()
    assert registry.runs() == []


def test_what_cannot_be_read_hides_nothing(three):
    (three / "day01" / OLD / record.FILE_NAME).write_text("{")
    shutil.move(three / "day02" / NEW, three / "day01" / "renamed")
    found = registry.listing()
    assert ids(found.records) == [MIDDLE]
    assert len(found.problems) == 2
    assert "is not a readable run record" in found.problems[0]
    assert f"holds run day02/{NEW}; move it there" in found.problems[1]


def test_folders_of_another_machine_are_simply_there(three, tmp_path):
    elsewhere = put(tmp_path / "elsewhere", "20260104T000000Z-dddddd", machine_id="feedbeef0123")
    shutil.copytree(elsewhere, three / "day01" / elsewhere.name)
    run = registry.runs()[0]
    assert (run.run_id, run.machine_id) == (elsewhere.name, "feedbeef0123")


@pytest.mark.parametrize("name", [OLD, "20260101", "aaaaaa", "0Z-aaaaaa"])
def test_a_run_is_found_by_either_end_of_its_id(three, name):
    assert registry.find(name).run_id == OLD


def test_unclear_and_unknown_names_are_refused(three):
    with pytest.raises(UsageError, match="2026 could be any of 3 runs"):
        registry.find("2026")
    with pytest.raises(UsageError, match=f"unknown run .*; did you mean {OLD}"):
        registry.find("20260101T000000Z-aaaaab")
    with pytest.raises(UsageError, match="unknown run zzz; `workbench list`"):
        registry.find("zzz")


def test_the_last_complete_run_may_be_refuted_but_not_failed(three):
    assert registry.last_complete("day01").run_id == MIDDLE
    assert registry.last_complete("day01", "full").run_id == OLD
    assert registry.last_complete("day02") is None


def test_running_means_that_the_process_lives(runs_folder):
    me = {"pid": os.getpid(), "pid_started": environment.process_started(os.getpid())}
    put(runs_folder, OLD, status="running", **me)
    put(runs_folder, MIDDLE, status="running", source="jupyterlab", **me)
    put(runs_folder, NEW, status="running", pid=me["pid"], pid_started=me["pid_started"] - 999)
    assert [run.status for run in registry.runs()] == ["killed", "running", "running"]
    assert ids(registry.measuring_now()) == [OLD]


@pytest.mark.parametrize(
    ("other", "meanwhile"),
    [
        ({"wall_s": 86400.0 + 7200.0}, True),
        ({"wall_s": 86400.0 - 1.0}, False),
        ({"wall_s": 1e9, "source": "jupyterlab"}, False),
        ({"wall_s": 1e9, "machine_id": "another"}, False),
        ({}, False),
    ],
)
def test_runs_that_overlapped_are_noticed(runs_folder, other, meanwhile):
    put(runs_folder, OLD, **other)
    put(runs_folder, MIDDLE, wall_s=3600.0)
    assert registry.ran_meanwhile(registry.find(MIDDLE)) is meanwhile


def test_rows_of_several_runs_stand_in_one_frame(three):
    rows = metric_rows.rows("speed", "GB/s", [1.0, 2.0])
    for run in registry.runs("day01"):
        metrics_file.write(registry.run_folder(run) / "metrics.parquet", rows, run.run_id)
    frame = registry.metrics([OLD, "cccccc", MIDDLE])
    assert frame.columns == ["run_id", *metric_rows.SCHEMA]
    assert frame["run_id"].to_list() == [OLD, OLD, MIDDLE, MIDDLE]
    assert registry.metrics([]).is_empty()
    with pytest.raises(UsageError, match="unknown run"):
        registry.metrics(["zzz"])
