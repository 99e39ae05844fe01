"""Day 2: what a preset amounts to."""

from __future__ import annotations

import pytest

from workbench.benchmark.storage.restore import ALL
from workbench.errors import UsageError
from workbench.runs.days import day02_ssd_io, get_day
from workbench.runs.days.day02_ssd_io import Day02Params
from workbench.runs.params import validate

PRESETS = ("tiny", "standard", "full")


def test_the_day_is_known_by_name_and_measures_every_workload():
    assert get_day("day02").params is Day02Params
    assert Day02Params().plan().workloads == ALL


def test_larger_presets_measure_more():
    tiny, standard, full = (Day02Params(preset=preset).plan() for preset in PRESETS)
    for name in ("tokens", "model_mib", "rounds", "fio_ms", "fio_runs", "scheduler_rounds"):
        assert getattr(tiny, name) < getattr(standard, name) < getattr(full, name)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_measures_enough_rounds_for_an_interval(preset):
    assert Day02Params(preset=preset).plan().rounds >= 10


def test_what_is_given_wins_over_the_preset():
    plan = Day02Params(preset="tiny", rounds=33, block_kib=128, queue_depth=8, model="m").plan()
    assert (plan.rounds, plan.block_kib, plan.queue_depth, plan.model) == (33, 128, 8, "m")


def test_a_block_size_or_workload_that_is_none_is_refused():
    with pytest.raises(UsageError) as caught:
        validate(Day02Params, {"block_kib": 48, "workload": "sequental", "queue_depth": 1})
    assert len(caught.value.problems) == 3


def test_one_workload_is_measured_on_its_own(disk_folder):
    params = Day02Params(
        preset="tiny", store=str(disk_folder), block_kib=64, workload="scattered", queue_depth=8
    )
    table = day02_ssd_io.measure_workload(params)
    assert set(table["workload"]) == {"scattered"}
    assert list(disk_folder.iterdir()) == []
