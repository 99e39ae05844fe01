"""run.json: one state after the other, readable across schema versions, truthful about the dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from workbench.runs import environment, record
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.record import RecordError, RunFile, RunRecord

# Written by hand: what the first version wrote at least, and what a later one may write.
OLDEST = """{"run_id": "20260101T000000Z-aaaaaa", "day": "day01", "status": "ok"}"""
NEWER = """{
 "schema_version": 7, "run_id": "20260102T000000Z-bbbbbb", "day": "day01", "status": "refuted",
 "reason": "it was slower", "energy_joules": 12.5, "wall_s": 3,
 "failed_cell": {"number": 4, "tag": "verdict", "first_line": "d.verdict()", "column": 3},
 "verdict": {"metric": "m", "claim": ">= 2x", "contender": "a", "baseline": "b",
  "verdict": "refuted", "power": 0.9, "ratio": {"median": 1, "low": 0.9, "high": 1.1,
  "n_rounds": 12, "method": "bca"}}
}"""


@pytest.fixture
def run_file(runs_folder, data_folder):
    """Return a run that has just begun."""
    return RunFile.create(record.new("day01", Day01Params(preset="tiny", seed=3), "workbench"))


def test_a_new_run_is_on_disk_as_running_with_everything_observed(run_file, runs_folder):
    found = record.read(run_file.folder / "run.json")
    assert run_file.folder == runs_folder / "day01" / found.run_id
    assert (found.status, found.preset, found.seed) == ("running", "tiny", 3)
    assert found.params["block_kib"] == 16
    assert found.machine["n_cpu"] == os.cpu_count()
    assert len(found.machine_id) == len(found.params_hash) == len(found.packages_hash) == 12
    assert (found.pid, found.schema_version) == (os.getpid(), 1)
    assert environment.is_running(found.pid, found.pid_started)
    assert record.read_settled(run_file.folder / "run.json") == found


def test_it_ends_once(run_file):
    finished = run_file.finish("failed", "because", cells_done=2)
    assert record.read(run_file.folder / "run.json") == finished
    assert (finished.status, finished.reason, finished.cells_done) == ("failed", "because", 2)
    assert finished.wall_s >= 0
    with pytest.raises(RecordError, match=r"has ended \(failed\)"):
        run_file.finish("ok")
    with pytest.raises(RecordError, match="has ended"):
        run_file.update(cells_done=3)


def test_a_failure_can_be_taken_back_by_its_owner_but_no_completion(run_file):
    run_file.finish("failed", "typo", failed_cell=record.FailedCell(number=2))
    run_file.reopen()
    assert run_file.record.failed_cell is None
    assert run_file.finish("ok").status == "ok"
    with pytest.raises(RecordError, match="is complete"):
        run_file.reopen()


def test_a_running_record_without_its_process_reads_as_killed(run_file):
    path = run_file.folder / "run.json"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        run_file.update(pid=child.pid, pid_started=environment.process_started(child.pid))
        assert record.read_settled(path).status == "running"
        child.kill()
    settled = record.read_settled(path)
    assert (settled.status, settled.reason) == ("killed", record.GONE)
    assert record.read(path).status == "running"  # reading changes nothing


def test_a_run_that_ends_while_it_is_looked_at_is_not_called_killed(run_file, monkeypatch):
    path = run_file.folder / "run.json"

    def ends_meanwhile(pid: int, started: float) -> bool:
        run_file.finish("ok")
        return False

    monkeypatch.setattr(environment, "is_running", ends_meanwhile)
    assert record.read_settled(path).status == "ok"


@pytest.mark.parametrize("text", [OLDEST, NEWER])
def test_records_of_other_schema_versions_are_read(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    found = record.read(path)
    told = json.loads(text)
    assert (found.run_id, found.status) == (told["run_id"], told["status"])
    if text == OLDEST:
        assert (found.schema_version, found.verdict, found.contended) == (1, None, False)
    else:
        assert found.schema_version == 7
        assert found.verdict.ratio.n_rounds == 12
        assert found.failed_cell.number == 4


@pytest.mark.parametrize("text", ["", "{", "[]", '{"day": "day01"}', '{"run_id": 1, "day": "d"}'])
def test_what_is_no_record_is_refused_by_name(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"run\.json is not a readable run record"):
        record.read(path)


def test_a_missing_record_is_refused_by_name(tmp_path):
    with pytest.raises(RecordError, match="not a readable run record"):
        record.read(tmp_path / "run.json")


def test_every_status_has_an_exit_code():
    codes = {status: RunRecord(run_id="x", day="d", status=status).exit_code for status in STATUSES}
    assert codes == STATUSES


STATUSES = {
    "ok": 0,
    "undecided": 0,
    "refuted": 1,
    "failed": 3,
    "running": 3,
    "timed_out": 4,
    "killed": 5,
    "interrupted": 130,
}
