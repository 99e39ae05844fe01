"""Day 4: what a preset amounts to."""

from __future__ import annotations

from typing import get_args

import pytest

from workbench.errors import UsageError
from workbench.runs.days import get_day
from workbench.runs.days.day04_batch_prefetch import Day04Params, PolicyName
from workbench.runs.params import validate
from workbench.tiering import eviction

PRESETS = ("tiny", "standard", "full")


def test_the_day_is_known_by_name():
    assert get_day("day04").params is Day04Params


def test_every_policy_that_there_is_can_be_chosen():
    assert get_args(PolicyName) == tuple(eviction.POLICIES)


def test_larger_presets_measure_more():
    tiny, standard, full = (Day04Params(preset=preset).plan() for preset in PRESETS)
    for name in ("batch_blocks", "mooncake_requests", "sessions", "replayed_requests", "rounds"):
        assert getattr(tiny, name) < getattr(standard, name) < getattr(full, name)
    tokens = [plan.serving.tokens for plan in (tiny, standard, full)]
    assert tokens == [512, 1024, 4096]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_plan_that_can_be_measured(preset):
    plan = Day04Params(preset=preset).plan()
    assert plan.rounds >= 10
    assert list(plan.mooncake_sizes) == sorted(set(plan.mooncake_sizes))
    assert list(plan.session_sizes) == sorted(set(plan.session_sizes))
    assert plan.ram_blocks < plan.ssd_blocks
    # Memory holds three prefixes: every other one has to be cold when its turn comes.
    assert plan.serving.requests > 4
    assert plan.serving.tokens % 64 == 0


def test_what_is_given_wins_over_the_preset():
    assert Day04Params(preset="tiny", rounds=33).plan().rounds == 33
    assert Day04Params(preset="tiny", rounds=33).plan().serving.rounds == 33


def test_the_traces_are_as_long_as_the_preset_says():
    plan = Day04Params(preset="tiny").plan()
    assert [trace.name for trace in plan.traces] == ["mooncake-conversation", "mooncake-synthetic"]
    assert {len(trace) for trace in plan.traces} == {500}
    assert (plan.side_by_side.merged_blocks, plan.replayed.merged_blocks) == (32, 64)


def test_what_is_out_of_range_is_refused():
    with pytest.raises(UsageError) as caught:
        validate(Day04Params, {"policy": "lruu", "eviction": 61, "rounds": 9})
    assert len(caught.value.problems) == 3
