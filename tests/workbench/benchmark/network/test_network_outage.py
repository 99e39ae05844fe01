"""A frozen server: every request and recovery of every round is there, in seconds."""

import logging

from workbench.benchmark.network import network_outage
from workbench.benchmark.network.network_outage import FIRST, OutagePlan


def test_each_round_times_the_outage_and_the_recovery():
    seen = []
    found = network_outage.measure(OutagePlan(rounds=2, later_requests=3), seen.append)
    assert found.first_s.shape == (2, FIRST)
    assert found.later_s.shape == found.recovery_s.shape == (2,)
    # A time-out is 50 ms, so one of the first three took about so long.
    assert (found.first_s.max(axis=1) > 0.02).all()
    assert (found.recovery_s > 0).all()
    assert found.usual_s > 0
    assert seen == [1, 2]
    assert logging.getLogger("workbench.tiering.distributed_tier").level == logging.NOTSET
