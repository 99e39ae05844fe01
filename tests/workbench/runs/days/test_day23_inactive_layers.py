"""Day 23: what a preset amounts to."""

from __future__ import annotations

import pytest

from workbench.benchmark.selection import real_text
from workbench.benchmark.selection.ways import BY_NEED, EVERYTHING, RULES, Way
from workbench.errors import UsageError
from workbench.inference.model_file import model_file
from workbench.runs.days import get_day
from workbench.runs.days.day23_inactive_layers import CALIBRATION, Day23Params
from workbench.runs.params import validate

PRESETS = ("tiny", "standard", "full")


def plan_of(preset, **given):
    return Day23Params(preset=preset, **given).plan()


def test_the_day_is_known_by_name():
    assert get_day("day23").params is Day23Params


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_plan_that_can_be_judged(preset):
    plan = plan_of(preset)
    # Blocks of every layout are whole, and the judged way is among the measured ones.
    assert plan.context_tokens % 64 == 0
    assert plan.recent_tokens < plan.context_tokens // 4
    ways = plan.ways
    assert ways[0].rule == EVERYTHING
    assert Way(BY_NEED, 0.3, ways[0].layout) in ways
    assert len(set(ways)) == len(ways)
    assert set(plan.rules) <= set(RULES)
    assert plan.needs.recent_tokens == plan.recent_tokens


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_scores_and_restores_whole_blocks(preset):
    plan = plan_of(preset)
    assert plan.scored_prefix % 64 == plan.restored_tokens % 64 == 0
    assert 0 < plan.restored_tokens <= plan.context_tokens
    # Ten groups of the model's thirty layers; all of them would be the uniform choice.
    assert list(plan.coarse_groups) == sorted(set(plan.coarse_groups) & set(range(1, 10)))
    assert plan.coarse.quality.exact == (preset != "tiny")


def test_what_is_scored_is_not_what_needs_are_measured_on():
    text = plan_of("tiny").scored_text
    assert text not in real_text.stretch_text(CALIBRATION)
    assert text == real_text.stretch_text(1)


def test_the_claim_is_judged_at_4096_tokens_and_by_every_rule():
    for preset in ("standard", "full"):
        plan = plan_of(preset)
        assert plan.context_tokens == 4096
        assert plan.rules == RULES
        assert len(plan.ways) == 1 + len(plan.fracs) * len(RULES) + 7


def test_what_is_given_wins_over_the_preset():
    assert plan_of("tiny", decoded_tokens=33).decoded_tokens == 33


def test_no_text_is_decoded_that_budgets_come_from():
    path = model_file("smollm2-135m")
    plan = plan_of("tiny")
    ((context, following),) = plan.to_decode(path)
    assert (len(context), len(following)) == (plan.context_tokens, plan.decoded_tokens)
    assert context != plan.tokens(path, CALIBRATION, 2)[0]


def test_what_is_out_of_range_is_refused():
    with pytest.raises(UsageError) as caught:
        validate(Day23Params, {"decoded_tokens": 1, "preset": "huge"})
    assert len(caught.value.problems) == 2
