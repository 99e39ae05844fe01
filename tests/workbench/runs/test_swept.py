"""A sweep is found by what a person calls it, its runs are in the grid's order, gaps are named."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.errors import UsageError
from workbench.runs import swept
from workbench.runs.grid import grid_id
from workbench.runs.record import RunFile, RunRecord
from workbench.runs.swept import Swept

ID, OTHER = "aaaaaaaaaaaa", "aaaabbbbbbbb"


def run(number: int, sweep: str = ID, **changes: Any) -> RunRecord:
    facts = {"day": "day01", "status": "ok", "started": f"2026-11-24T03:{number:02d}:00+00:00"}
    return RunRecord(run_id=f"r{number:02d}", sweep=sweep, **{**facts, **changes})


def point(number: int, size: Any, policy: str, **changes: Any) -> RunRecord:
    return run(number, params={"seed": 0, "size": size, "policy": policy}, **changes)


def test_numbers_go_by_size_and_other_values_by_when_they_were_first_run() -> None:
    grid = [(256, "lru"), (256, "arc"), (64, "lru"), (64, "arc")]
    records = [point(number, *values) for number, values in enumerate(grid)]
    sweep = Swept.of(records[::-1])
    assert sweep.axes == {"size": (64, 256), "policy": ("lru", "arc")}
    assert [record.run_id for record in sweep.records] == ["r02", "r03", "r00", "r01"]
    assert (sweep.day, sweep.latest.run_id) == ("day01", "r03")


def test_runs_of_one_point_stand_together_oldest_first() -> None:
    sweep = Swept.of([point(2, 1, "lru"), point(1, 2, "lru"), point(0, 1, "lru")])
    assert [record.run_id for record in sweep.records] == ["r00", "r02", "r01"]


def test_points_without_a_run_are_named() -> None:
    sweep = Swept.of([point(0, 1, "lru"), point(1, 2, "arc"), point(2, 3, "arc")])
    assert sweep.missing() == [
        {"size": 1, "policy": "arc"},
        {"size": 2, "policy": "lru"},
        {"size": 3, "policy": "lru"},
    ]
    assert Swept.of([point(0, 1, "lru")]).missing() == []


def test_values_that_no_axis_can_hold_are_text() -> None:
    sweep = Swept.of([point(0, [1], "lru"), point(1, {"a": 1}, "lru"), point(2, None, "lru")])
    assert sweep.axes == {"size": ("[1]", "{'a': 1}", None)}


def test_a_larger_sweep_has_the_runs_of_the_smaller_one_that_it_went_on_with() -> None:
    def sweep(sizes: list[int], made: list[int], first: int, **changes: Any) -> list[RunRecord]:
        name = grid_id("day01", changes.get("label", ""), map(str, sizes))
        return [
            point(first + n, size, "lru", sweep=name, params_hash=str(size), **changes)
            for n, size in enumerate(made)
        ]

    small = sweep([1, 2], [1, 2], 0)
    larger = sweep([1, 2, 3, 4], [3], 2)  # 4 has not been run yet, so nothing is proven
    assert [len(one.records) for one in swept.all_of(small + larger)] == [1, 2]
    larger = sweep([1, 2, 3], [3], 2)
    largest = sweep([1, 2, 3, 4], [4], 3)
    unlike = sweep([8, 9], [8, 9], 4, label="other")
    found = swept.all_of(unlike + largest + larger + small)
    assert [[run.run_id for run in one.records] for one in found] == [
        ["r04", "r05"],
        ["r00", "r01", "r02", "r03"],
        ["r00", "r01", "r02"],
        ["r00", "r01"],
    ]
    assert [len(one.reused) for one in found] == [0, 3, 2, 0]
    assert found[1].axes == {"size": (1, 2, 3, 4)}
    # A run that failed is made again, so it is not one that was gone on with.
    failed = [small[0].model_copy(update={"status": "failed"}), small[1]]
    assert [run.run_id for run in swept.all_of(failed + larger)[0].reused] == ["r01"]


def test_sweeps_are_told_apart_and_the_last_one_is_first() -> None:
    records = [run(0), run(1, OTHER), run(2, ""), run(3, "../../etc"), run(4, OTHER, day="day02")]
    assert [(one.id, one.day) for one in swept.all_of(records)] == [
        (OTHER, "day02"),
        (OTHER, "day01"),
        (ID, "day01"),
    ]


@pytest.fixture
def registered(runs_folder: Any) -> None:
    for record in (run(0, label="mine"), run(1), run(2, OTHER, label="mine"), run(3, "")):
        RunFile.create(record)


@pytest.mark.parametrize(
    ("name", "found"), [("aaaaaa", ID), ("aaaab", OTHER), ("mine", OTHER), ("day01", OTHER)]
)
def test_a_sweep_is_found_by_id_label_or_day(registered: None, name: str, found: str) -> None:
    assert swept.find(name).id == found


def test_what_is_not_there_is_named_with_the_way_on(registered: None) -> None:
    with pytest.raises(UsageError, match="could be any of 2 sweeps"):
        swept.find("aaaa")
    with pytest.raises(UsageError, match=r"unknown sweep nowhere; the last ones are aaaabbbbbbbb"):
        swept.find("nowhere")
    with pytest.raises(UsageError, match="workbench sweep day02 -p"):
        swept.find("day02")


def test_without_any_sweep_the_way_to_one_is_told(runs_folder: Any) -> None:
    with pytest.raises(UsageError, match="make one: workbench sweep day01"):
        swept.find("aaaa")
