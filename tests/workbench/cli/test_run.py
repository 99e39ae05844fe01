"""`workbench run`: refuses before anything starts, tells what happened, answers the right code."""

from __future__ import annotations

import json

import pytest

from workbench.cli import run
from workbench.runs import compile_ahead, registry


def test_all_that_is_wrong_is_told_and_nothing_is_started(workbench, small_day, runs_folder):
    answer = workbench("run", "day01", "-p", "blck_kib=4", "-p", "rounds=3", "--preset", "huge")
    assert answer.code == 2
    assert answer.err.splitlines() == [
        "error: unknown parameter blck_kib; did you mean block_kib? "
        "(one of 4, 16, 64, 256, 1024; KiB per block)",
        "preset='huge' is not one of the choices (one of tiny, standard, full)",
        "rounds=3 is out of range (10..200 or None)",
    ]
    assert list(runs_folder.iterdir()) == []


@pytest.mark.parametrize("words", [("dya01",), ("day01", "--timeout", "0"), ()])
def test_other_slips_are_usage_errors_too(workbench, runs_folder, words):
    assert workbench("run", *words).code == 2
    assert list(runs_folder.iterdir()) == []


def test_a_dry_run_shows_the_plan_and_runs_nothing(workbench, small_day, runs_folder):
    answer = workbench("run", "all", "-p", "block_kib=64", "--timeout", "90", "--dry-run")
    assert answer.code == 0
    assert "  * block_kib = 64   (default 16)" in answer.out.splitlines()
    assert "each cell may take 1 min 30 s" in answer.out
    told = json.loads(workbench("run", "day01", "-p", "seed=3", "--dry-run", "--json").out)
    assert [(one["day"], one["params"]["seed"]) for one in told] == [("day01", 3)]
    assert list(runs_folder.iterdir()) == []


def test_a_run_is_told_from_its_parameters_to_its_notebook(workbench, small_day):
    answer = workbench("run", "day01", "-p", "block_kib=4", "--preset", "tiny", "--label", "why")
    (run,) = registry.runs()
    assert (answer.code, run.status, run.label, run.preset) == (0, "ok", "why", "tiny")
    assert run.params["block_kib"] == 4
    lines = answer.out.splitlines()
    assert lines[0] == "day01: Day 1: baseline"
    assert f"ok: run {run.run_id} of day01" in answer.out
    assert any(line.endswith(f"{run.run_id}/out.ipynb") for line in lines)
    assert lines[-1] == "  report    workbench report day01"
    assert [line.split()[1] for line in answer.err.splitlines()] == [
        f"[{n}/6]" for n in range(1, 7)
    ]
    # The second run knows how long the first one took, and answers in JSON on stdout alone.
    answer = workbench("run", "day01", "-p", "seed=7", "--preset", "tiny", "--json")
    told = json.loads(answer.out)
    assert (answer.code, told["status"], told["seed"]) == (3, "failed", 7)
    assert told["failed_cell"] == {
        "number": 4,
        "tag": "measure",
        "first_line": "1 / (seed - 7)",
    }
    assert told["reason"] == "ZeroDivisionError: division by zero"
    assert told["notebook"].endswith("out.ipynb")
    assert "left" in answer.err or "nearly done" in answer.err


def test_kernels_are_compiled_before_all_days_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    monkeypatch.setattr(compile_ahead, "PROCESSES", (("no such step",),))
    run._compile_ahead(json=False)
    told = capsys.readouterr()
    assert told.out == "compiling kernels on two cores, once per checkout ...\n"
    assert "KeyError: 'no such step'; each day compiles what it calls" in told.err
    monkeypatch.setattr(compile_ahead, "PROCESSES", ())
    run._compile_ahead(json=True)
    assert capsys.readouterr().out == ""
    run._compile_ahead(json=False)
    assert capsys.readouterr() == ("", "")
