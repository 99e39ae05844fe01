"""Prefill beside a peer: every length anew, and alone without one."""

from __future__ import annotations

import pytest

from tests.workbench.benchmark.stand_in_peer import StandIn, no_peers  # noqa: F401
from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import prefill_rates
from workbench.benchmark.inference.own_engine import OURS
from workbench.benchmark.inference.prefill_rates import PrefillPlan
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer

PLAN = PrefillPlan(lengths=(7, 65), rounds=10)


@pytest.mark.usefixtures("no_peers")
def test_without_the_peer_there_are_rounds_of_ours(tmp_path):
    found = prefill_rates.measure(write_model(tmp_path), LlamaCppPeer, PLAN)
    assert [one.n_tokens for one in found] == [7, 65]
    assert all(set(one.samples.seconds) == {OURS} for one in found)


def test_a_peer_takes_turns_with_ours(tmp_path):
    found = prefill_rates.measure(write_model(tmp_path), StandIn, PLAN)
    assert all(set(one.samples.seconds) == {OURS, "llama.cpp"} for one in found)
    assert [one.samples.work["llama.cpp"] for one in found] == [7, 65]
