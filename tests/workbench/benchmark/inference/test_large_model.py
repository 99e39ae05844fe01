"""Timing 70B-shaped layers: in memory, and streamed past the page cache."""

from __future__ import annotations

import pytest

from workbench.benchmark.inference import large_model
from workbench.benchmark.inference.large_layers import LayersShape
from workbench.benchmark.inference.large_model import READ, RESIDENT, LargePlan


def test_an_eighth_of_three_layers_is_timed_both_ways(disk_folder):
    plan = LargePlan(share=8, n_layers=3, context_tokens=64, rounds=10, streamed_passes=2)
    found = large_model.measure(disk_folder, plan)
    assert list(disk_folder.iterdir()) == []
    assert set(found.samples.seconds) == {RESIDENT, READ}
    assert len(found.streamed_s) == 2
    assert found.direct
    assert found.layer_bytes == LayersShape(3, 8).layer_bytes
    # Times of a whole layer: eight eighths.
    a_pass = found.samples.seconds[RESIDENT].mean()
    assert found.layer_s == pytest.approx(a_pass / 3 * 8, rel=0.9)
    assert found.streamed_layer_s > 0
    assert found.ssd_gb_s == pytest.approx(found.layer_bytes * 8 / found.streamed_layer_s / 1e9)
    assert found.metrics["tier"].to_list() == ["memory"] * 10 + ["device"] * 2
