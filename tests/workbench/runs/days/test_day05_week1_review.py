"""Day 5: what a preset amounts to."""

from __future__ import annotations

import pytest

from workbench.errors import UsageError
from workbench.runs.days import get_day
from workbench.runs.days.day05_week1_review import Day05Params
from workbench.runs.params import validate

PRESETS = ("tiny", "standard", "full")


def test_the_day_is_known_by_name():
    assert get_day("day05").params is Day05Params


def test_larger_presets_measure_more():
    tiny, standard, full = (Day05Params(preset=preset).plan() for preset in PRESETS)
    for name in ("restore_tokens", "rounds", "store_tokens", "sessions", "requests"):
        sizes = [getattr(plan.week, name) for plan in (tiny, standard, full)]
        assert sizes == sorted(set(sizes))
    assert tiny.resume.rounds < standard.resume.rounds < full.resume.rounds
    assert tiny.budget_tokens < standard.budget_tokens < full.budget_tokens
    assert tiny.budget_fracs[0] == 1
    assert tiny.week.latency.n_tokens < standard.week.latency.n_tokens


def test_standard_resumes_the_lengths_that_are_asked_for_and_times_whole_layers():
    plan = Day05Params().plan()
    assert plan.resume.lengths == (512, 1024, 2048, 4096)
    assert plan.large.share == 1
    assert plan.with_peer


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_measures_enough_rounds_for_an_interval(preset):
    plan = Day05Params(preset=preset).plan()
    assert min(plan.week.rounds, plan.large.rounds) >= 10
    assert plan.large.n_layers >= 3


def test_what_is_given_wins_over_the_preset():
    plan = Day05Params(context_tokens=512, dtype="int8", peers=False).plan()
    assert (plan.week.latency.context_tokens, plan.large.context_tokens) == (512, 512)
    assert plan.resume.dtype == "int8"
    assert not plan.with_peer
    assert not Day05Params(preset="tiny").plan().with_peer


def test_a_format_or_a_context_that_is_none_is_refused():
    with pytest.raises(UsageError) as caught:
        validate(Day05Params, {"dtype": "float8", "context_tokens": 1})
    assert len(caught.value.problems) == 2
