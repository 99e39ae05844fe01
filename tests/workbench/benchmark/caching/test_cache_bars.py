"""Eviction's and prefetch's benchmarks: what is held against what, and when a bar is met."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from workbench.benchmark import bars
from workbench.benchmark.caching import cache_bars, policy_cost, prefetch_serving
from workbench.benchmark.caching.policy_cost import PolicyCost
from workbench.benchmark.caching.prefetch_serving import VARIANTS, Serving
from workbench.benchmark.findings import PRESETS
from workbench.benchmark.paired import Samples
from workbench.tiering import eviction


def run(name):
    return bars.BENCHMARKS[name].run("tiny")


@pytest.mark.parametrize(("call_us", "n_bytes"), [(1.6, 250.0), (2.5, 160.0)])
def test_a_policy_s_time_and_memory_are_judged_apart(monkeypatch, call_us, n_bytes):
    def measure(name, n_blocks, rounds):
        return PolicyCost(name, n_blocks, np.full(rounds, call_us), n_bytes)

    monkeypatch.setattr(policy_cost, "measure", measure)
    rows = run("policy_cost")
    assert len(rows) == 2 * len(eviction.POLICIES)
    assert {row.bar for row in rows} == {"median >= 1x"}
    call, memory = rows[:2]
    assert (call.case, memory.case) == (
        "policy=fifo blocks=20000 a call",
        "policy=fifo blocks=20000 memory",
    )
    assert (call.met, memory.met) == (call_us <= 2, n_bytes <= 200)
    assert (call.unit, memory.unit) == ("s", "MB")
    assert call.value == pytest.approx(call_us * 1e-6)
    assert memory.value == pytest.approx(n_bytes * 20_000 / 1e6)


def test_the_real_policies_answer_complete_rows(monkeypatch):
    monkeypatch.setattr(cache_bars, "_COSTS", {"tiny": (300, 10)})
    rows = run("policy_cost")
    assert len({row.case for row in rows}) == len(rows) == 2 * len(eviction.POLICIES)
    assert all(0 < row.low <= row.ratio <= row.high for row in rows)


@pytest.mark.parametrize(("best", "met"), [(1.31, True), (1.29, False)])
def test_the_best_of_those_loaded_ahead_is_judged(monkeypatch, best, met):
    rates = dict(zip(VARIANTS, (10.0, 90.0, 11.0, 10 * best), strict=True))
    seconds = {name: np.full(10, 1 / rate) for name, rate in rates.items()}
    samples = Samples(seconds, dict.fromkeys(rates, 1.0))
    served = Serving(samples, 0.5, pl.DataFrame(), pl.DataFrame(), ())
    monkeypatch.setattr(prefetch_serving, "measure", lambda store, plan: served)
    rows = {row.case.split()[-1]: row for row in run("async_prefetch")}
    assert list(rows) == ["layer_wise", "predicted", "predicted_layer_wise"]
    assert rows["predicted_layer_wise"].met is met
    assert rows["predicted_layer_wise"].bar == ">= 1.3x"
    assert (rows["predicted"].met, rows["layer_wise"].met) == (None, None)
    assert {row.ceiling for row in rows.values()} == {10.0}
    assert rows["predicted"].case == "requests=6 tokens=512 predicted"


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_plan_with_an_interval(preset):
    assert cache_bars._COSTS[preset][1] >= 10
    assert cache_bars._SERVINGS[preset].rounds >= 10
    # Memory holds three prefixes; a fourth is being loaded.
    assert cache_bars._SERVINGS[preset].requests > 4


@pytest.mark.parametrize("preset", ["standard", "full"])
def test_the_bound_is_for_a_million_blocks(preset):
    assert cache_bars._COSTS[preset][0] == 1_000_000
