"""A deadline runs down and stays at nothing."""

from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.ssd_tier.deadline import Deadline


def test_time_runs_down_to_nothing() -> None:
    clock = VirtualClock()
    deadline = Deadline(clock, 2.0)
    assert deadline.left_s() == 2.0
    clock.sleep(1.5)
    assert deadline.left_s() == 0.5
    clock.sleep(86400)
    assert deadline.left_s() == 0.0
