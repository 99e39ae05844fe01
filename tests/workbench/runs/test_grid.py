"""Grids: the product of the values, all problems at once."""

from __future__ import annotations

import pytest

from workbench.errors import UsageError
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.grid import grid


def test_the_last_axis_moves_fastest():
    points = grid(Day01Params, ["block_kib=4,16", "medium=device,page_cache"], "tiny")
    assert [(p.preset, p.block_kib, p.medium) for p in points] == [
        ("tiny", 4, "device"),
        ("tiny", 4, "page_cache"),
        ("tiny", 16, "device"),
        ("tiny", 16, "page_cache"),
    ]


def test_an_axis_may_be_given_in_parts_and_equal_points_once():
    assert [p.seed for p in grid(Day01Params, ["seed=1,2", "seed=2", "seed=3"])] == [1, 2, 3]


def test_no_axis_is_one_point():
    assert grid(Day01Params, []) == (Day01Params(),)


def test_all_problems_of_all_values_are_told_once():
    texts = ["block_kib=4,5,x", "rounds=3,12", "blck=1,2", "seed"]
    with pytest.raises(UsageError) as caught:
        grid(Day01Params, texts, "huge")
    told = [problem.partition(" (")[0] for problem in caught.value.problems]
    assert sorted(told) == [
        "'seed' is not of the form name=value",
        "block_kib=5 is not one of the choices",
        "block_kib=x is not one of the choices",
        "preset='huge' is not one of the choices",
        "rounds=3 is out of range",
        "unknown parameter blck; did you mean block_kib?",
    ]
