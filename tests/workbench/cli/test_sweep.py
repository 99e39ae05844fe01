"""`workbench sweep` and then `compare`, `list`: one grid, read in every way."""

from __future__ import annotations

import json

import pytest

from workbench.runs import registry


def test_all_that_is_wrong_is_told_and_nothing_is_started(workbench, small_day, runs_folder):
    answer = workbench("sweep", "day01", "-p", "block_kib=4,5", "-p", "sed=1,2")
    assert answer.code == 2
    assert answer.err.splitlines() == [
        "error: block_kib=5 is not one of the choices (one of 4, 16, 64, 256, 1024; KiB per block)",
        "unknown parameter sed; did you mean seed? (0..4294967295)",
    ]
    answer = workbench("sweep", "day01", "--jobs", "2", "--repeat", "0")
    assert answer.code == 2
    assert "--repeat 0 must be at least 1" in answer.err
    assert "add --contended" in answer.err
    assert list(runs_folder.iterdir()) == []


def test_a_dry_run_shows_every_point(workbench, small_day, runs_folder):
    words = ("sweep", "day01", "-p", "block_kib=4,16", "--repeat", "2", "--dry-run")
    assert [one["block_kib"] for one in json.loads(workbench(*words, "--json").out)] == [
        4,
        16,
        4,
        16,
    ]
    assert workbench(*words).out.startswith("4 runs")
    assert list(runs_folder.iterdir()) == []


def test_a_sweep_goes_on_after_a_failure_resumes_and_compares(workbench, small_day):
    grid = ("sweep", "day01", "-p", "seed=7,8", "-p", "block_kib=4", "--preset", "tiny")
    answer = workbench(*grid)
    assert answer.code == 3
    assert "2 of 2 runs" in answer.out
    (sweep,) = {run.sweep for run in registry.runs()}
    assert answer.out.endswith(f"report: workbench report --sweep {sweep}\n")
    assert answer.err.splitlines()[0].startswith("[1/2] failed: run ")
    assert "[2/2] ok: run " in answer.err
    left = json.loads(workbench(*grid, "--resume", "--dry-run", "--json").out)
    assert [one["seed"] for one in left] == [7]

    answer = workbench("sweep", "day01", "-p", "block_kib=16", "--preset", "tiny", "--json")
    assert (answer.code, json.loads(answer.out)["params"]["block_kib"]) == (0, 16)
    after, before, failed = registry.runs()
    assert [run.status for run in (after, before, failed)] == ["ok", "ok", "failed"]
    compared = json.loads(workbench("compare", before.run_id, after.run_id, "--json").out)
    assert [(row["variant"], row["change"]) for row in compared["metrics"]] == [
        ("base", 3.0),
        ("fast", 3.0),
    ]
    assert compared["machines_differ"] is False

    words = ("compare", "--day", "day01", "--metric", "speed", "--baseline", "base")
    (row,) = json.loads(workbench(*words, "--json").out)
    assert (row["variant"], row["median"], row["relation"]) == ("fast", pytest.approx(2), "faster")

    listed, *_ = json.loads(workbench("list", "--json").out)
    assert (listed["day"], listed["last"], listed["age"]) == ("day01", "ok", "just now")
    assert after.run_id.endswith(listed["run"])
