"""Day 3: what a preset amounts to."""

from __future__ import annotations

import pytest

from workbench.benchmark.kv.store_ablation import GEOMETRIES, plan_for
from workbench.errors import UsageError
from workbench.runs.days import day03_simd_store, get_day
from workbench.runs.days.day03_simd_store import Day03Params
from workbench.runs.params import validate

PRESETS = ("tiny", "standard", "full")


def test_the_day_is_known_by_name():
    assert get_day("day03").params is Day03Params


def test_larger_presets_measure_more():
    tiny, standard, full = (Day03Params(preset=preset).plan() for preset in PRESETS)
    for name in ("hot_tokens", "store_tokens", "rounds"):
        assert getattr(tiny, name) < getattr(standard, name) < getattr(full, name)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("batch_tokens", [1, 8, 32, 64])
def test_every_preset_is_a_plan_for_every_geometry(preset, batch_tokens):
    params = Day03Params(preset=preset, batch_tokens=batch_tokens)
    for geometry in GEOMETRIES.values():
        assert plan_for(geometry, params.plan()).rounds >= 10


def test_what_is_given_wins_over_the_preset():
    plan = Day03Params(preset="tiny", rounds=33, batch_tokens=8, threads=4).plan()
    assert (plan.rounds, plan.batch_tokens, plan.threads) == (33, 8, 4)


def test_what_is_out_of_range_is_refused():
    with pytest.raises(UsageError) as caught:
        validate(Day03Params, {"batch_tokens": 3, "threads": 1, "geometry": "sed"})
    assert len(caught.value.problems) == 3


def test_one_geometry_is_measured_on_its_own():
    table = day03_simd_store.measure_geometry(
        Day03Params(preset="tiny", geometry="smollm2-135m", batch_tokens=8)
    )
    assert table["geometry"].to_list() == ["smollm2-135m"] * 2
    assert table["threads"].to_list() == [1, 2]
