"""The network tier's bars: which cases there are, and what each is held against."""

import numpy as np
import pytest

from workbench.benchmark import bars
from workbench.benchmark.network import network_bars, network_outage
from workbench.benchmark.network.network_outage import Outage


def test_one_mib_blocks_are_judged_and_the_raw_client_s_own_noise_is_shown(monkeypatch):
    monkeypatch.setattr(network_bars, "_RATES", {"tiny": ((64, 1024), 1, 10)})
    found = bars.BENCHMARKS["network_get"].measure("tiny")
    assert {finding.case: finding.bar for finding in found} == {
        "block=64 KiB one at a time": None,
        "block=64 KiB in one call": None,
        "block=64 KiB raw GET again": None,
        "block=1024 KiB one at a time": "median >= 0.8x",
        "block=1024 KiB in one call": "median >= 0.8x",
        "block=1024 KiB raw GET again": None,
    }
    assert all(finding.unit == "GB/s" and finding.ceiling > 0 for finding in found)


@pytest.mark.parametrize(("factor", "met"), [(0.9, True), (1.1, False)])
def test_every_time_is_held_against_its_limit(monkeypatch, factor, met):
    rounds = np.ones(10) * factor
    outage = Outage(
        0.001, np.outer(rounds * 0.06, np.ones(3)), rounds * 0.001, rounds * 2.0
    )  # fmt: skip
    monkeypatch.setattr(network_outage, "measure", lambda plan: outage)
    found = bars.BENCHMARKS["network_faults"].measure("tiny")
    judged = [finding for finding in found if finding.claim is not None]
    assert [finding.met for finding in judged] == [met] * 5
    assert [finding.ceiling for finding in judged] == [0.06, 0.06, 0.06, 0.001, 2.0]
    worst = [finding.ratio.median for finding in found if finding.claim is None]
    assert worst == pytest.approx([1 / factor] * 5)
