"""Day 22: what a preset amounts to."""

from __future__ import annotations

import pytest

from workbench.benchmark.codecs.codec_quality import LAST_BIT
from workbench.benchmark.codecs.cold_decode import ATTENDED
from workbench.errors import UsageError
from workbench.runs.days import get_day
from workbench.runs.days.day22_kv_compression import Day22Params
from workbench.runs.params import validate
from workbench.tiering.compression import CODECS

PRESETS = ("tiny", "standard", "full")


def test_the_day_is_known_by_name():
    assert get_day("day22").params is Day22Params


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_plan_that_can_be_measured(preset):
    plan = Day22Params(preset=preset).plan()
    assert set(plan.timed) <= set(CODECS)
    assert set(plan.scored) <= {LAST_BIT, *CODECS}
    # Every lossy codec that is judged is timed as well, or has no row in the grid.
    assert set(plan.scored) - {LAST_BIT} <= set(plan.timed)
    assert set(plan.attended) <= set(plan.scored) & set(ATTENDED)
    assert plan.cold.context_tokens % 64 == 0
    assert plan.cold.rounds == plan.rounds >= 10
    assert plan.quality.prefix_tokens % 64 == plan.restored_tokens % 64 == 0
    assert plan.tiers.ram_blocks < plan.tiers.ssd_blocks
    assert plan.side_by_side.merged_blocks == 32


def test_larger_presets_measure_more_and_in_float32():
    tiny, standard, full = (Day22Params(preset=preset).plan() for preset in PRESETS)
    for name in ("windows", "restored_tokens", "frames", "sessions", "cold_tokens"):
        assert getattr(tiny, name) < getattr(standard, name) < getattr(full, name)
    assert [plan.quality.exact for plan in (tiny, standard, full)] == [False, True, True]


def test_what_is_given_wins_over_the_preset():
    assert Day22Params(preset="tiny", rounds=33).plan().rounds == 33


def test_what_is_out_of_range_is_refused():
    with pytest.raises(UsageError) as caught:
        validate(Day22Params, {"kl_at_most": 2, "rounds": 9})
    assert len(caught.value.problems) == 2
