"""Every limit is held against the worst request, not the median one."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.network import outage_limits
from workbench.benchmark.network.fresh_machine import Answer
from workbench.benchmark.network.network_outage import Outage
from workbench.benchmark.network.server_died import FROZEN, THAWED, Served, ServerDied


def outage(first_s=0.05, later_s=0.0005, recovery_s=1.0):
    return Outage(0.001, np.full((5, 3), first_s), np.full(5, later_s), np.full(5, recovery_s))


def died(waits_s=(0.05, 0.05, 0.0, 0.0001), digest="same"):
    served = tuple(Served(FROZEN, Answer(1, 0, 0, (), digest), wait_s) for wait_s in waits_s)
    return ServerDied(served, (Answer(1, 0, 0, (), "same"),), {THAWED: 1.0})


def test_all_held_is_said_in_a_sentence():
    found = outage_limits.limits(died(), outage())
    assert all(limit.is_held for limit in found)
    assert "only misses" in outage_limits.sentence(found, died())
    table = outage_limits.table(found, died())
    assert table["held"].to_list() == ["yes"] * 7
    assert table["limit, ms"].to_list()[:3] == pytest.approx([60, 1, 2000])


@pytest.mark.parametrize(
    ("given", "missed"),
    [
        ({"waits_s": (0.05, 0.061, 0.0, 0.0)}, "first three requests"),
        ({"waits_s": (0.05, 0.05, 0.0, 0.0, 0.0, 0.0011)}, "later requests"),
        ({"first_s": 0.061}, "first three"),
        ({"later_s": 0.002}, "slowest later one"),
        ({"recovery_s": 2.1}, "until the first hit"),
        ({"digest": "other"}, "4 answers differ"),
    ],
)
def test_one_that_is_missed_is_named(given, missed):
    of_died = {name: value for name, value in given.items() if name in ("waits_s", "digest")}
    one = died(**of_died)
    found = outage_limits.limits(
        one, outage(**{k: v for k, v in given.items() if k not in of_died})
    )
    said = outage_limits.sentence(found, one)
    assert said.startswith("Of what a dead server may cost, missed: ")
    assert missed in said
    assert outage_limits.table(found, one)["held"].to_list().count("no") == 1
