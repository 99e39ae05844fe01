"""What the tiers cost: blocks are really written, and nothing is left on the disk."""

from __future__ import annotations

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import tiering_cost
from workbench.benchmark.inference.tiering_cost import AGAIN, MEMORY_ONLY, TIERED, CostPlan


def test_all_three_ways_take_turns_and_blocks_are_written(tmp_path, disk_folder):
    samples = tiering_cost.measure(write_model(tmp_path), disk_folder, CostPlan(70, 2, 10))
    assert set(samples.seconds) == {TIERED, MEMORY_ONLY, AGAIN}
    assert all(len(seconds) == 10 for seconds in samples.seconds.values())
    assert samples.work[TIERED] == 72
    assert list(disk_folder.iterdir()) == []
