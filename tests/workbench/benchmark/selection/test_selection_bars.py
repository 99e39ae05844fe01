"""The bar of partial loading: both halves are judged, each by its own measure."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark import bars
from workbench.benchmark.selection import selection_bars
from workbench.benchmark.selection.answers import Distance
from workbench.benchmark.selection.partial_outcomes import Outcome, PartialLoading
from workbench.benchmark.selection.ways import BY_NEED, EVERYTHING, Way


def outcome(kl, read):
    n = 64
    far = Distance(np.full(n, kl), np.ones(n, bool), np.zeros(n))
    return Outcome(far, read, 1000.0, 1000.0, np.full(n, read / 1000), 5, 5)


@pytest.mark.parametrize(
    ("kl", "read", "met"),
    [(0.009, 290.0, [True, True]), (0.011, 290.0, [True, False]), (0.009, 310.0, [False, True])],
)
def test_bytes_and_quality_are_judged_apart(monkeypatch, kl, read, met):
    outcomes = {Way(EVERYTHING): outcome(0, 1000.0), Way(BY_NEED, 0.3): outcome(kl, read)}
    found = PartialLoading(outcomes, 64, 4096)
    monkeypatch.setattr(selection_bars, "_measure", lambda plan: found)
    n_bytes, quality, speed = bars.BENCHMARKS["partial_loading"].run("standard")
    assert [n_bytes.met, quality.met] == met
    assert (n_bytes.bar, quality.bar, speed.bar) == ("<= 0.3x", "median <= 1x", None)
    assert n_bytes.value == pytest.approx(read)
    assert quality.value == pytest.approx(kl, rel=1e-3)
    assert speed.ratio == pytest.approx(1000 / read, rel=1e-3)


def test_the_bar_is_for_a_context_of_4096():
    for preset in ("standard", "full"):
        plan = selection_bars._PLANS[preset]
        assert (plan.context_tokens, plan.recent_tokens) == (4096, 256)
        assert plan.texts * plan.decoded_tokens >= 128


def test_the_tiny_preset_runs_on_the_real_model():
    n_bytes, quality, _ = bars.BENCHMARKS["partial_loading"].run("tiny")
    assert n_bytes.met
    assert 0 < n_bytes.value < 0.3 * n_bytes.ceiling
    assert quality.value > 0
