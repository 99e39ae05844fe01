"""The benchmark of loading weights: its rows, and the one bar among them."""

import numpy as np
import pytest

from workbench.benchmark.bars import BENCHMARKS
from workbench.benchmark.findings import PRESETS
from workbench.benchmark.inference import weights_loading
from workbench.benchmark.inference.weights_bars import WEIGHTS_BENCHMARKS
from workbench.benchmark.inference.weights_loading import AHEAD, DIRECT, FAULTED, WeightsLoading
from workbench.benchmark.paired import Samples
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.fio import FioJob


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
    (bench,) = WEIGHTS_BENCHMARKS
    direct, ahead, faulted, over_ahead, over_faulted, spread = bench.run(preset)
    assert direct.case == "66 MB direct reads, depth 32 io_uring"
    assert (direct.met, direct.ratio, direct.bar) == (met, rate, "median >= 0.8x")
    assert (ahead.ratio, faulted.ratio) == (0.5, 0.25)
    assert (over_ahead.ratio, over_faulted.ratio) == (2 * rate, 4 * rate)
    assert spread.case == "fio over fio, 1024 KiB, depth 32"
    assert [row.bar for row in (ahead, faulted, over_ahead, over_faulted, spread)] == [None] * 5


def test_it_can_be_asked_for_by_name():
    assert "weights_cold_load" in BENCHMARKS
