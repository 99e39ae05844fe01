"""The cost of a page fault: a span that a fault can take."""

from __future__ import annotations

from workbench.profiling import page_faults


def test_a_fault_takes_more_than_a_load_and_less_than_a_disk() -> None:
    assert 0.01 < page_faults.cost_us() < 1000
