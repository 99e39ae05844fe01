"""Inference's benchmarks: each bar is judged as it says, and an absent peer judges nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.benchmark.stand_in_peer import no_peers  # noqa: F401
from workbench.benchmark.findings import PRESETS
from workbench.benchmark.inference import (
    decode_rates,
    inference_bars,
    model_load,
    peak_memory,
    prefill_rates,
    resume,
    tiering_cost,
)
from workbench.benchmark.inference.decode_rates import DecodeRates
from workbench.benchmark.inference.inference_bars import INFERENCE_BENCHMARKS
from workbench.benchmark.inference.own_engine import OURS
from workbench.benchmark.inference.peak_memory import PeakMemory
from workbench.benchmark.inference.prefill_rates import PrefillRates
from workbench.benchmark.paired import Samples

BENCHES = {one.name: one for one in INFERENCE_BENCHMARKS}
LLAMA, TORCH = "llama.cpp", "transformers"


@pytest.fixture(autouse=True)
def some_model(monkeypatch, tmp_path):
    monkeypatch.setattr(inference_bars, "model_file", lambda name: tmp_path / "model.gguf")
    monkeypatch.setattr(model_load, "compile_s", lambda path: 60.0)


def by_name(seconds: dict[str, float]) -> Samples:
    return Samples(
        {name: np.full(10, value) for name, value in seconds.items()},
        dict.fromkeys(seconds, 100.0),
    )


def test_there_is_one_benchmark_for_every_bar_of_inference():
    assert set(BENCHES) == {
        "decode_vs_llamacpp",
        "prefill_vs_llamacpp",
        "prefill_vs_torch",
        "load_vs_llamacpp",
        "resume_vs_recompute",
        "resume_vs_llamacpp",
        "tiering_cost",
        "rss_vs_llamacpp",
    }


@pytest.mark.parametrize(("theirs", "met"), [(1.21, True), (1.19, False)])
def test_decode_is_judged_at_every_context_and_thread_count(monkeypatch, theirs, met):
    samples = by_name({OURS: 1.0, LLAMA: theirs})
    found = [DecodeRates(128, 1, samples, False), DecodeRates(2048, 2, samples, True)]
    monkeypatch.setattr(decode_rates, "measure", lambda model, plan: found)
    rows = BENCHES["decode_vs_llamacpp"].run("tiny")
    assert [row.met for row in rows] == [met, met]
    assert rows[1].case == "context=2048 threads=2 over llama.cpp, flash attention on"
    assert rows[0].value == pytest.approx(100)


@pytest.mark.parametrize(
    ("bench", "peer", "theirs", "met"),
    [
        ("prefill_vs_llamacpp", LLAMA, 2.6, True),
        ("prefill_vs_llamacpp", LLAMA, 2.4, False),
        ("prefill_vs_torch", TORCH, 1.0, True),
        ("prefill_vs_torch", TORCH, 0.9, False),
    ],
)
def test_prefill_is_judged_against_each_peer(monkeypatch, bench, peer, theirs, met):
    found = [PrefillRates(512, 2, by_name({OURS: 1.0, peer: theirs}), False)]
    monkeypatch.setattr(prefill_rates, "measure", lambda model, which, plan: found)
    (row,) = BENCHES[bench].run("tiny")
    assert row.met is met
    assert f"over {peer}" in row.case


@pytest.mark.parametrize(("ours", "met"), [(0.5, True), (0.6, False)])
def test_loading_is_a_time_and_compiling_a_row_without_a_bar(monkeypatch, ours, met):
    samples = by_name({OURS: ours, LLAMA: 0.5})
    monkeypatch.setattr(model_load, "measure", lambda model, plan: samples)
    (row,) = BENCHES["load_vs_llamacpp"].run("tiny")
    assert (row.met, row.unit) == (met, "s")
    assert row.value == pytest.approx(ours, rel=1e-3)
    _, compiling = BENCHES["load_vs_llamacpp"].run("standard")
    assert (compiling.met, compiling.value) == (None, 60)


def test_resume_has_a_bar_at_two_lengths(monkeypatch):
    samples = by_name({resume.RESUMED: 0.1, resume.RECOMPUTED: 2.0})
    found = dict.fromkeys((512, 1024, 4096), samples)
    monkeypatch.setattr(resume, "against_recompute", lambda model, store, plan: found)
    rows = BENCHES["resume_vs_recompute"].run("tiny")
    assert [row.met for row in rows] == [None, True, False]
    assert rows[0].value == pytest.approx(0.1)


@pytest.mark.parametrize(("ours", "met"), [(0.99, [True, True]), (1.19, [True, False])])
def test_a_restore_may_take_longer_than_the_peers_but_not_at_int8(monkeypatch, ours, met):
    samples = by_name({resume.RESTORED: ours, resume.PEER_RESTORED: 1.0})
    monkeypatch.setattr(resume, "against_llamacpp", lambda model, store, plan: {1024: samples})
    rows = BENCHES["resume_vs_llamacpp"].run("tiny")
    assert [row.met for row in rows] == met
    assert ["float16" in rows[0].case, "int8" in rows[1].case] == [True, True]


@pytest.mark.parametrize(("tiered", "met"), [(1.02, True), (1.04, False)])
def test_the_tiers_may_cost_three_percent(monkeypatch, tiered, met):
    times = {tiering_cost.TIERED: tiered, tiering_cost.MEMORY_ONLY: 1.0, tiering_cost.AGAIN: 1.1}
    monkeypatch.setattr(tiering_cost, "measure", lambda model, store, plan: by_name(times))
    rows = BENCHES["tiering_cost"].run("tiny")
    assert [row.met for row in rows] == [met, None]


@pytest.mark.parametrize(("ours", "met"), [(1.4, True), (1.6, False)])
def test_memory_is_better_when_smaller(monkeypatch, ours, met):
    found = PeakMemory(2048, np.full(3, ours * 1e9), np.full(3, 1e9))
    monkeypatch.setattr(peak_memory, "measure", lambda model, tokens, runs: found)
    (row,) = BENCHES["rss_vs_llamacpp"].run("tiny")
    assert (row.met, row.unit) == (met, "MB")
    assert row.value == pytest.approx(ours * 1000, rel=1e-3)


def test_an_absent_peer_is_named_with_its_command_and_judges_nothing(monkeypatch):
    alone = by_name({OURS: 1.0})
    restored = {1024: by_name({resume.RESTORED: 1.0})}
    none = PeakMemory(2048, np.full(3, 1e9), np.empty(0))
    monkeypatch.setattr(
        decode_rates, "measure", lambda model, plan: [DecodeRates(128, 1, alone, False)]
    )
    monkeypatch.setattr(
        prefill_rates, "measure", lambda model, peer, plan: [PrefillRates(512, 1, alone, False)]
    )
    monkeypatch.setattr(model_load, "measure", lambda model, plan: alone)
    monkeypatch.setattr(resume, "against_llamacpp", lambda model, store, plan: restored)
    monkeypatch.setattr(peak_memory, "measure", lambda model, tokens, runs: none)
    for name in set(BENCHES) - {"resume_vs_recompute", "tiering_cost"}:
        for row in BENCHES[name].run("tiny"):
            assert row.met is row.bar is None
            assert "not installed, to enable: make peers" in row.case


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_plan_with_an_interval(preset):
    plans = (
        inference_bars._DECODES,
        inference_bars._PREFILLS,
        inference_bars._LOADS,
        inference_bars._RESUMES,
        inference_bars._RESTORES,
        inference_bars._COSTS,
    )
    assert all(plan[preset].rounds >= 10 for plan in plans)
    assert inference_bars._PEAKS[preset][1] >= 1
