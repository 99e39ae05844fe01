"""Day 24: what a preset amounts to."""

from __future__ import annotations

import pytest

from workbench.benchmark.network.network_outage import FIRST
from workbench.benchmark.statistics import MIN_ROUNDS
from workbench.errors import UsageError
from workbench.runs.days import get_day
from workbench.runs.days.day24_network_tier import CODECS, JUDGED_TOKENS, Day24Params
from workbench.runs.params import validate
from workbench.tiering.compression import CODECS as KNOWN_CODECS

PRESETS = ("tiny", "standard", "full")


def test_the_day_is_known_by_name():
    assert get_day("day24").params is Day24Params


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_judged(preset):
    plan = Day24Params(preset=preset).plan()
    assert JUDGED_TOKENS in plan.hits.lengths
    assert plan.hits.rounds >= MIN_ROUNDS
    # Only whole blocks are shared.
    assert all(tokens % 64 == 0 for tokens in (*plan.prefixes, plan.served_tokens))
    # The table has a worst request behind the first three.
    assert plan.died.requests > FIRST
    assert plan.outage.rounds >= 1
    for ascending in (plan.block_kib, plan.prefixes, plan.shared_gib):
        assert list(ascending) == sorted(set(ascending))
    assert plan.sweep.n_bytes < 1 << 30
    assert plan.processes.pairs >= 1


def test_codecs_are_known_and_the_first_changes_nothing():
    assert set(CODECS) <= set(KNOWN_CODECS)
    assert CODECS[0] == "none"


def test_the_fleet_is_made_of_parameters():
    fleet = Day24Params(fleet_machines=3, fleet_shared_gib=7, fleet_kv_kib=11).fleet()
    assert (fleet.machines, fleet.shared_gib, fleet.kv_kib_per_token) == (3, 7, 11)


def test_the_trace_is_cut_to_the_preset():
    assert (
        len(Day24Params(preset="tiny").trace()) == Day24Params(preset="tiny").plan().trace_requests
    )


def test_what_is_out_of_range_is_refused():
    with pytest.raises(UsageError) as caught:
        validate(Day24Params, {"fleet_machines": 0, "link_mbit_s": 0, "preset": "huge"})
    assert len(caught.value.problems) == 3
