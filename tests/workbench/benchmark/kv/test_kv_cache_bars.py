"""The KV cache's benchmarks: each question's rows, bars only where one is demanded."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.findings import PRESETS
from workbench.benchmark.kv import append_rate, kv_cache_bars, prefix_restore
from workbench.benchmark.kv.append_rate import APPENDED, KERNEL
from workbench.benchmark.kv.kv_cache_bars import KV_CACHE_BENCHMARKS
from workbench.benchmark.kv.prefix_restore import LOADED, PrefixRestore
from workbench.benchmark.paired import Samples
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.fio import FioJob

BENCHES = {one.name: one for one in KV_CACHE_BENCHMARKS}


def samples(**rates: float) -> Samples:
    seconds = {name: np.full(10, 1 / rate) for name, rate in rates.items()}
    return Samples(seconds, dict.fromkeys(rates, 1e9))


def test_there_is_one_benchmark_for_every_bar_of_the_cache():
    assert {"store_append", "restore_prefix"} <= set(BENCHES)


@pytest.mark.parametrize(("rate", "met"), [(0.81, True), (0.79, False)])
def test_the_append_is_judged_at_the_seed_geometry(monkeypatch, rate, met):
    found = samples(**{APPENDED: rate, KERNEL: 1.0})
    monkeypatch.setattr(append_rate, "measure", lambda geometry, plan: found)
    rows = BENCHES["store_append"].run("tiny")
    assert [row.case for row in rows] == [
        "geometry=32x32x128 float16 batch=32",
        "geometry=30x3x64 float16 batch=32",
    ]
    assert [row.met for row in rows] == [met, None]
    assert rows[0].ratio == rate


@pytest.mark.parametrize(("rate", "met"), [(0.81, True), (0.79, False)])
def test_the_prefix_is_judged_beside_fio(monkeypatch, rate, met):
    around = {"fio before": 1.0, "fio after": 1.0, LOADED: rate}
    beside = BesideFio(samples(**around), FioJob("read", 292, 32, 100))
    found = PrefixRestore("io_uring", 292, beside, 0.3)
    monkeypatch.setattr(prefix_restore, "measure", lambda store, plan: found)
    judged, spread = BENCHES["restore_prefix"].run("tiny")
    assert (judged.case, judged.met) == (f"tokens=512 io_uring {LOADED}", met)
    assert (spread.case, spread.met) == ("fio over fio, 292 KiB, depth 32", None)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_plan_with_an_interval(preset):
    assert kv_cache_bars._APPENDS[preset].rounds >= 10
    assert kv_cache_bars._PREFIXES[preset].rounds >= 10
    assert kv_cache_bars._APPENDS[preset].batch_tokens == 32
