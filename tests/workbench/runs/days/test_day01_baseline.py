"""Day 1: what a preset amounts to."""

from __future__ import annotations

import pytest

from workbench.runs.days.day01_baseline import Day01Params


@pytest.mark.parametrize("preset", ["tiny", "standard", "full"])
@pytest.mark.parametrize("block_kib", [4, 16, 1024])
def test_the_block_size_asked_for_is_measured(preset, block_kib):
    plan = Day01Params(preset=preset, block_kib=block_kib).plan()
    assert block_kib in plan.block_kib
    assert list(plan.block_kib) == sorted(set(plan.block_kib))


def test_larger_presets_measure_more():
    tiny, standard, full = (Day01Params(preset=p).plan() for p in ("tiny", "standard", "full"))
    for name in ("file_mib", "sample_mib", "rounds", "fio_ms", "store_tokens", "memory_mib"):
        assert getattr(tiny, name) < getattr(standard, name) < getattr(full, name)


def test_every_preset_measures_enough_rounds_for_an_interval():
    assert all(
        Day01Params(preset=preset).plan().rounds >= 10 for preset in ("tiny", "standard", "full")
    )


def test_rounds_given_win_over_the_preset():
    assert Day01Params(preset="tiny", rounds=33).plan().rounds == 33


def test_the_tiny_preset_caps_the_hot_tier():
    assert Day01Params(preset="tiny", hot_tokens=4096).plan().hot_tokens == 64
    assert Day01Params(preset="full", hot_tokens=4096).plan().hot_tokens == 4096
