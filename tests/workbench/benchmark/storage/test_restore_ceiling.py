"""fio runs around the rounds with the size, depth, order and mix of what it is held against."""

import numpy as np
import pytest

from workbench.benchmark.storage import fio, restore_workloads
from workbench.benchmark.storage.fio import FioJob, FioResult
from workbench.benchmark.storage.restore_ceiling import FioRounds, job_for
from workbench.benchmark.storage.restore_variants import Variant

JOB = FioJob("read", 16, 8, 20)


@pytest.mark.parametrize(
    ("workload", "depth", "job"),
    [
        (restore_workloads.sequential(2), 1, FioJob("read", 256, 1, 50)),
        (
            restore_workloads.mixed(2),
            32,
            FioJob("read", 256, 32, 50, writes_percent=25, batched=True),
        ),
        (
            restore_workloads.scattered(1 << 20, np.random.default_rng(0)),
            32,
            FioJob("read", 16, 32, 50, random=True, batched=True),
        ),
    ],
    ids=["sequential", "mixed", "scattered"],
)
def test_a_job_is_like_what_it_stands_beside(workload, depth, job):
    assert job_for(workload, Variant("a", 256, depth), 50) == job


@pytest.mark.parametrize(("runs", "at"), [(1, [0]), (2, [0, 10]), (3, [0, 5, 10])])
def test_runs_are_spread_over_the_rounds(tmp_path, monkeypatch, runs, at):
    monkeypatch.setattr(fio, "available", lambda: True)
    seen: list[int] = []
    result = FioResult(1.0, 1.0, 1.0, 1.0, "psync", "")
    rounds = FioRounds(tmp_path, [JOB, JOB], 10, runs)
    for done in range(11):
        monkeypatch.setattr(fio, "run", lambda *given, done=done: (seen.append(done), result)[1])
        rounds.on_round(done)
    assert seen == at
    assert rounds.results == {JOB: [result] * runs}
    assert rounds.notes == []


def test_a_fio_that_fails_is_given_up_once(tmp_path, monkeypatch):
    monkeypatch.setattr(fio, "available", lambda: True)
    rounds = FioRounds(tmp_path / "missing", [JOB, FioJob("read", 32, 8, 20)], 10, 2)
    rounds.on_round(0)
    rounds.on_round(10)
    assert len(rounds.notes) == 1
    assert "fio was given up" in rounds.notes[0]
    assert set(map(len, rounds.results.values())) == {0}


def test_without_fio_a_note_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    rounds = FioRounds(tmp_path, [JOB], 10, 2)
    rounds.on_round(0)
    assert "fio is missing" in rounds.notes[0]
    assert "not asked for" in FioRounds(tmp_path, [JOB], 10, 0).notes[0]
