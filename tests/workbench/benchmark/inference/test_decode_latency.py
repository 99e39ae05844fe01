"""Latency token by token: percentiles are tokens' own, the margin is the tighter limit's."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import decode_latency
from workbench.benchmark.inference.decode_latency import EXACT, FAST, DecodeLatency, LatencyPlan


def latency(milliseconds) -> DecodeLatency:
    return DecodeLatency(FAST, 8, 1, np.array(milliseconds) / 1e3)


@pytest.mark.parametrize("exact", [False, True])
def test_every_token_is_timed(tmp_path, exact):
    path = write_model(tmp_path, kind="Q4_1", quantized=True)
    found = decode_latency.measure(path, LatencyPlan(8, 5), exact=exact)
    assert found.variant == (EXACT if exact else FAST)
    assert found.metrics["value"].len() == 5
    assert (found.metrics["value"] > 0).all()
    assert found.table["tokens timed"].item() == 5


def test_the_baseline_is_the_exact_pass(tmp_path):
    found = decode_latency.baseline(write_model(tmp_path), 2)
    assert (found.variant, len(found.seconds)) == (EXACT, 2)


def test_percentiles_are_latencies_that_tokens_had():
    found = latency(range(1, 101))
    assert found.percentile_ms(50) == pytest.approx(51)
    assert found.percentile_ms(99) == pytest.approx(100)
    assert latency([3, 1, 2]).percentile_ms(99) == pytest.approx(3)
    assert "p50 51.0 ms, p99 100.0 ms, over 100 tokens" in found.sentence


def test_the_margin_is_that_of_the_limit_nearest_to_being_passed():
    found = latency([10.0] * 190 + [80.0] * 10)
    margin = found.margin(p50_limit_ms=50, p99_limit_ms=100)
    assert margin.median == pytest.approx(100 / 80)
    assert margin.low <= margin.median <= margin.high
    assert margin.n_rounds == 200
    steady = latency([60.0] * 40).margin(p50_limit_ms=50, p99_limit_ms=100)
    assert (steady.low, steady.median, steady.high) == pytest.approx((50 / 60,) * 3)


def test_the_interval_is_seeded_and_few_tokens_have_one():
    noisy = latency(np.random.default_rng(0).uniform(10, 90, 40))
    assert noisy.margin(50, 100, seed=1) == noisy.margin(50, 100, seed=1)
    assert latency([5.0, 7.0]).margin(50, 100).median == pytest.approx(50 / 7)


def test_rows_name_the_case():
    row = latency([1.0]).metrics.row(0, named=True)
    assert (row["metric"], row["unit"], row["case"]) == (
        "decode_latency",
        "ms",
        "tokens=8 threads=1",
    )
    assert isinstance(latency([1.0]).metrics, pl.DataFrame)
