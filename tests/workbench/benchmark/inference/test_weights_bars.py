"""The benchmark of loading weights: its rows, and the one bar among them."""

import numpy as np
import pytest

from workbench.benchmark.bars import BENCHMARKS
from workbench.benchmark.findings import PRESETS
from workbench.benchmark.inference import weights_loading, weights_streaming
from workbench.benchmark.inference.weights_bars import WEIGHTS_BENCHMARKS
from workbench.benchmark.inference.weights_loading import AHEAD, DIRECT, FAULTED, WeightsLoading
from workbench.benchmark.inference.weights_streaming import (
    CEILING,
    DECODE,
    PREFILL,
    READ,
    RESIDENT,
    STREAMED,
    Streaming,
    StreamingPlan,
)
from workbench.benchmark.paired import Samples
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.fio import FioJob
from workbench.inference.weights import WeightsStats


def found(direct_gb_s: float) -> WeightsLoading:
    """Return loads at these rates, fio at 1 GB/s around them."""
    rates = {"fio before": 1.0, FAULTED: 0.25, AHEAD: 0.5, DIRECT: direct_gb_s, "fio after": 1.0}
    seconds = {name: np.full(10, 1 / rate) for name, rate in rates.items()}
    samples = Samples(seconds, dict.fromkeys(rates, 1e9))
    return WeightsLoading(
        3, 66_000_000, "io_uring", BesideFio(samples, FioJob("read", 1024, 32, 9))
    )


@pytest.mark.parametrize(("rate", "met"), [(0.85, True), (0.75, False)])
@pytest.mark.parametrize("preset", PRESETS)
def test_direct_reads_are_judged_against_fio_and_shown_against_maps(monkeypatch, rate, met, preset):
    monkeypatch.setattr(weights_loading, "measure", lambda *given: found(rate))
    bench = BENCHMARKS["weights_cold_load"]
    direct, ahead, faulted, over_ahead, over_faulted, spread = bench.run(preset)
    assert direct.case == "66 MB direct reads, depth 32 io_uring"
    assert (direct.met, direct.ratio, direct.bar) == (met, rate, "median >= 0.8x")
    assert (ahead.ratio, faulted.ratio) == (0.5, 0.25)
    assert (over_ahead.ratio, over_faulted.ratio) == (2 * rate, 4 * rate)
    assert spread.case == "fio over fio, 1024 KiB, depth 32"
    assert [row.bar for row in (ahead, faulted, over_ahead, over_faulted, spread)] == [None] * 5


def streamed(decode_s: float, prefill_s: float) -> Streaming:
    """Return passes at these seconds, where computing takes 1 s and reading 2 s of decoding."""
    samples = {}
    for name, seconds, read in ((DECODE, decode_s, 2.0), (PREFILL, prefill_s, 0.5)):
        times = {RESIDENT: 1.0, STREAMED: seconds, READ: read, CEILING: max(1.0, read)}
        rounds = {case: np.full(10, value) for case, value in times.items()}
        samples[name] = Samples(rounds, dict.fromkeys(times, 10.0))
    plan = StreamingPlan(0.5, 10, 10, 10)
    return Streaming(plan, 2, WeightsStats(96, 48, 47, 30, 26, 0, 0.0), samples)


@pytest.mark.parametrize("preset", PRESETS)
def test_streaming_is_judged_against_the_slower_of_computing_and_reading(monkeypatch, preset):
    monkeypatch.setattr(weights_streaming, "measure", lambda *given: streamed(2.5, 1.25))
    rows = BENCHMARKS["weights_streaming"].run(preset)
    decode, prefill = rows[0], rows[3]
    assert decode.case == "decode of 10 with 50% of the weights, 2 threads, 26 layers pass"
    assert (decode.ratio, decode.ceiling, decode.met) == (0.8, 5.0, True)
    assert (prefill.ratio, prefill.ceiling, prefill.met) == (0.8, 10.0, False)
    assert [row.ratio for row in rows[1:3]] == [0.4, 0.8]
    assert [row.bar for row in rows].count(None) == 4


def test_they_can_be_asked_for_by_name():
    assert {bench.name for bench in WEIGHTS_BENCHMARKS} <= set(BENCHMARKS)
