"""Every way gets the same prefix; the fixed ways are held against each other at every speed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.network import cold_prefix
from workbench.benchmark.network.cold_prefix import (
    BOTH,
    CHOSEN,
    LOAD,
    RECOMPUTE,
    TIMES_COMPUTING,
    WAYS,
    ColdPrefix,
    ColdPrefixPlan,
)
from workbench.benchmark.paired import Samples


def test_all_ways_are_measured_at_all_speeds(tmp_path, disk_folder):
    found = cold_prefix.measure(write_model(tmp_path), disk_folder, ColdPrefixPlan(128, 10))
    assert list(found.samples) == list(TIMES_COMPUTING)
    assert all(list(samples.seconds) == list(WAYS) for samples in found.samples.values())
    assert all(len(seconds) == 10 for seconds in found.samples[1.0].seconds.values())
    assert found.metrics.height == len(TIMES_COMPUTING) * len(WAYS) * 10
    assert set(found.metrics["unit"]) == {"s"}
    assert found.table["loading takes"].to_list() == [
        "0.25x computing",
        "1x computing",
        "4x computing",
    ]
    assert list(disk_folder.iterdir()) == []


def test_the_better_fixed_way_is_what_others_are_held_against():
    seconds = {LOAD: 2.0, RECOMPUTE: 1.0, BOTH: 0.8, CHOSEN: 1.25}
    samples = Samples(
        {name: np.full(10, value) for name, value in seconds.items()}, dict.fromkeys(WAYS, 1.0)
    )
    found = ColdPrefix({1.0: samples}, None, None)
    assert found.better(1.0) == RECOMPUTE
    assert found.over_better(1.0, BOTH).median == pytest.approx(1.25)
    assert found.over_better(1.0, CHOSEN).median == pytest.approx(0.8)
