"""What a worker is asked before and during a sweep, without a cluster around it."""

from __future__ import annotations

import pytest

from workbench.benchmark.machine import identify
from workbench.runs import registry
from workbench.runs.cluster import worker
from workbench.runs.cluster.worker import Task, WorkerError, code_hash, facts, run_task
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.request import Request


def test_facts_name_versions_code_and_a_machine_for_every_store(data_folder):
    found = facts(["data/store", "data/other"])
    assert {"python", "numba", "distributed"} <= dict(found.versions).keys()
    assert found.code == code_hash()
    assert found.machine_ids == (identify(data_folder).id,) * 2


def test_other_code_is_refused_before_anything_runs(make_day, runs_folder):
    request = Request(make_day("x = 1"), Day01Params(preset="tiny"))
    with pytest.raises(WorkerError, match="joined late has other code"):
        run_task(Task(0, request, "token", "0" * 12, alone=False))
    assert registry.runs() == []


def test_a_sweep_that_was_stopped_begins_nothing_more(make_day, runs_folder, monkeypatch):
    monkeypatch.setattr(worker, "_STOPS", {})
    request = Request(make_day("x = 1"), Day01Params(preset="tiny"))
    worker.stop_runs("one", now=False)
    assert run_task(Task(0, request, "one", code_hash(), alone=True)) is None
    assert registry.runs() == []
    assert not worker._STOPS["one"].now.is_set()
    worker.stop_runs("one", now=True)
    assert worker._STOPS["one"].now.is_set()
