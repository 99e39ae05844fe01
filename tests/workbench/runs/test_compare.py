"""Comparisons: changes are shown, equal rows are marked, machines are never judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.errors import UsageError
from workbench.runs import metrics_file, record
from workbench.runs.compare import compare, compare_variants
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.record import RunFile, RunRecord

Make = Callable[..., RunRecord]


@pytest.fixture
def made(runs_folder, data_folder) -> Make:
    """Return a function that makes a complete run with these rows."""

    def make(*frames: pl.DataFrame, params: Day01Params | None = None, **fields) -> RunRecord:
        begun = record.new("day01", params or Day01Params(), "workbench")
        run_file = RunFile.create(begun.model_copy(update=fields))
        path = run_file.folder / metrics_file.FILE_NAME
        metrics_file.write(path, pl.concat([metrics.empty(), *frames]), begun.run_id)
        return run_file.finish("ok")

    return make


def speed(variant: str, values) -> pl.DataFrame:
    return metrics.rows("speed", "GB/s", values, tier="memory", case="n=1", variant=variant)


def test_medians_stand_side_by_side_with_their_change(made):
    a = made(speed("x", [1, 2, 9]), speed("gone", [1]), speed("same", [100]))
    b = made(speed("x", [3, 3]), speed("new", [5]), speed("same", [101]))
    found = compare(a.run_id, b.run_id)
    rows = {row["variant"]: row for row in found.metrics.to_dicts()}
    assert rows["x"] == {
        "metric": "speed",
        "case": "n=1",
        "variant": "x",
        "tier": "memory",
        "unit": "GB/s",
        "a": 2.0,
        "n_a": 3,
        "b": 3.0,
        "n_b": 2,
        "change": 0.5,
        "differs": True,
    }
    assert (rows["gone"]["b"], rows["gone"]["change"], rows["gone"]["differs"]) == (
        None,
        None,
        True,
    )
    assert (rows["new"]["a"], rows["new"]["differs"]) == (None, True)
    assert rows["same"]["differs"] is False
    assert not found.machines_differ


def test_zero_has_no_relative_change(made):
    a, b = made(speed("x", [0]), speed("y", [0])), made(speed("x", [0]), speed("y", [1]))
    rows = {row["variant"]: row for row in compare(a.run_id, b.run_id).metrics.to_dicts()}
    assert (rows["x"]["change"], rows["x"]["differs"]) == (None, False)
    assert (rows["y"]["change"], rows["y"]["differs"]) == (None, True)


def test_different_machines_are_flagged_and_not_judged(made):
    a, b = made(speed("x", [1])), made(speed("x", [4]), machine_id="another")
    found = compare(a.run_id, b.run_id)
    assert found.machines_differ
    assert found.metrics["change"].to_list() == [None]
    assert found.metrics["b"].to_list() == [4.0]


def test_parameters_that_differ_are_marked(made):
    a = made(params=Day01Params(block_kib=4))
    b = made(params=Day01Params(rounds=12))
    params = compare(a.run_id, b.run_id).params
    assert params.filter("differs").rows() == [
        ("block_kib", "4", "16", True),
        ("rounds", "None", "12", True),
    ]
    assert params.height == len(Day01Params.model_fields)


def test_runs_without_rows_compare_as_empty(made):
    found = compare(made().run_id, made().run_id)
    assert found.metrics.is_empty()
    assert dataclasses.is_dataclass(found)


def test_an_unknown_run_is_refused(made):
    with pytest.raises(UsageError, match="unknown run zzz"):
        compare(made().run_id, "zzz")


def rounds(centre: float, n: int = 20, seed: int = 0) -> np.ndarray:
    return centre * np.random.default_rng(seed).uniform(0.99, 1.01, n)


def test_variants_of_one_run_are_judged_round_by_round(made):
    run = made(speed("base", rounds(1)), speed("fast", rounds(2, seed=1)), speed("few", [1, 2]))
    rows = {row["variant"]: row for row in compare_variants(run.run_id, "speed", "base").to_dicts()}
    assert set(rows) == {"fast", "few"}
    assert rows["fast"]["relation"] == "faster"
    assert rows["fast"]["low"] < rows["fast"]["median"] < rows["fast"]["high"]
    assert rows["fast"]["median"] == pytest.approx(2, rel=0.02)
    assert (rows["few"]["median"], rows["few"]["relation"]) == (None, "undecided")
    assert rows["few"]["n_rounds"] == 2


def test_variants_of_a_contended_run_are_shown_but_undecided(made):
    run = made(speed("base", rounds(1)), speed("fast", rounds(2)), contended=True)
    (row,) = compare_variants(run.run_id, "speed", "base").to_dicts()
    assert (row["relation"], row["median"]) == ("undecided", pytest.approx(2))


def test_unknown_metrics_and_variants_are_refused_with_a_hint(made):
    run = made(speed("base", [1]))
    with pytest.raises(UsageError, match="unknown metric sped; did you mean speed"):
        compare_variants(run.run_id, "sped", "base")
    with pytest.raises(UsageError, match="unknown variant zzz; there are base"):
        compare_variants(run.run_id, "speed", "zzz")
