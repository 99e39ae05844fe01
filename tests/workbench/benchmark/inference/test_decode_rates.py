"""Decoding beside a peer: every context and thread count, and alone without one."""

from __future__ import annotations

import pytest

from tests.workbench.benchmark.stand_in_peer import StandIn, no_peers  # noqa: F401
from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import decode_rates
from workbench.benchmark.inference.decode_rates import DecodePlan
from workbench.benchmark.inference.own_engine import OURS

PLAN = DecodePlan(contexts=(5, 70), threads=(1, 2), n_tokens=2, rounds=10)


@pytest.mark.usefixtures("no_peers")
def test_without_the_peer_there_are_rounds_of_ours(tmp_path):
    found = decode_rates.measure(write_model(tmp_path), PLAN)
    cases = [(one.context_tokens, one.threads) for one in found]
    assert cases == [(5, 1), (5, 2), (70, 1), (70, 2)]
    assert all(set(one.samples.seconds) == {OURS} for one in found)
    assert all(one.samples.work[OURS] == 2 for one in found)


def test_the_peer_runs_with_the_attention_that_was_faster(tmp_path, monkeypatch):
    settings = []

    class Slow(StandIn):
        def __init__(self, given):
            settings.append(given)
            super().__init__(given)

        def decode_seconds(self, n_tokens, first_id=None):
            seconds = super().decode_seconds(n_tokens, first_id)
            return seconds if self.settings.flash_attention else seconds + 1000

    monkeypatch.setattr(decode_rates, "LlamaCppPeer", Slow)
    (found,) = decode_rates.measure(write_model(tmp_path), DecodePlan((5,), (1,), 1, 10))
    assert [one.flash_attention for one in settings] == [False, True]
    assert found.flash_attention
    assert found.samples.seconds["llama.cpp"].max() < 1000
