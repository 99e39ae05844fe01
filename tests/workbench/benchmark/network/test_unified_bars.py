"""What is chosen has its bar at every speed, both ends at the break-even alone."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark import bars
from workbench.benchmark.findings import PRESETS
from workbench.benchmark.network import cold_prefix, unified_bars
from workbench.benchmark.network.cold_prefix import (
    BOTH,
    CHOSEN,
    LOAD,
    RECOMPUTE,
    TIMES_COMPUTING,
    WAYS,
    ColdPrefix,
)
from workbench.benchmark.paired import Samples


@pytest.mark.parametrize(("chosen_s", "both_s", "met"), [(1.04, 0.8, True), (1.06, 0.9, False)])
def test_bars_are_held_against_the_better_fixed_way(monkeypatch, chosen_s, both_s, met):
    seconds = {LOAD: 1.0, RECOMPUTE: 1.5, BOTH: both_s, CHOSEN: chosen_s}
    samples = Samples(
        {name: np.full(10, value) for name, value in seconds.items()}, dict.fromkeys(WAYS, 1.0)
    )
    found = ColdPrefix(dict.fromkeys(TIMES_COMPUTING, samples), None, None)
    monkeypatch.setattr(unified_bars, "model_file", lambda name: None)
    monkeypatch.setattr(cold_prefix, "measure", lambda *arguments: found)
    rows = bars.BENCHMARKS["load_or_recompute"].run("tiny")
    judged = {row.case: row.met for row in rows if row.bar is not None}
    assert len(rows) == 2 * len(TIMES_COMPUTING)
    assert len(judged) == len(TIMES_COMPUTING) + 1
    assert set(judged.values()) == {met}
    assert {row.ceiling for row in rows} == {1.0}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_rounds_for_an_interval_and_whole_blocks(preset):
    plan = unified_bars._PREFIXES[preset]
    assert plan.rounds >= 10
    assert plan.tokens % 64 == 0
