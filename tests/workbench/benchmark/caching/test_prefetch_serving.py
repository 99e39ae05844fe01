"""Requests are served from cold prefixes in every way, each value of them as it was stored."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from workbench.benchmark.caching import prefetch_serving
from workbench.benchmark.caching.prefetch_serving import (
    DEMAND,
    LAYOUT,
    PREDICTED,
    PREDICTED_LAYER_WISE,
    VARIANTS,
    Serving,
    ServingPlan,
)
from workbench.benchmark.paired import Samples
from workbench.benchmark.scratch_files import MediumError
from workbench.tiering.tiered_kv_cache import TieredKVCache

PLAN = ServingPlan(requests=5, tokens=128, rounds=10)


def serving(waiting_frac=0.6, **rates):
    seconds = {name: np.full(10, 1 / rate) for name, rate in rates.items()}
    empty = pl.DataFrame()
    return Serving(Samples(seconds, dict.fromkeys(rates, 1.0)), waiting_frac, empty, empty, ())


def test_every_variant_serves_every_request_from_the_device(disk_folder):
    found = prefetch_serving.measure(disk_folder, PLAN)
    assert tuple(found.samples.seconds) == VARIANTS
    assert set(found.samples.work.values()) == {5.0}
    assert 0 < found.waiting_frac < 1
    assert found.table["variant"].to_list() == list(VARIANTS)
    assert found.table["times on demand"][0] == 1
    assert found.metrics.height == 10 * len(VARIANTS)
    assert set(found.metrics["unit"]) == {"requests/s"}
    assert "5 requests a round, each with a prefix of 128 tokens (3 MiB" in found.notes[0]
    assert list(disk_folder.iterdir()) == []


def test_values_that_come_back_changed_stop_the_benchmark(disk_folder, monkeypatch):
    real = prefetch_serving._Server._gather_layer

    def rot(server, sequence, layer):
        real(server, sequence, layer)
        server._kv[1, 100, 2, 63] += 1

    monkeypatch.setattr(prefetch_serving._Server, "_gather_layer", rot)
    with pytest.raises(MediumError, match="other values than were stored"):
        prefetch_serving.measure(disk_folder, PLAN)
    assert list(disk_folder.iterdir()) == []


def test_a_disk_that_takes_nothing_stops_the_benchmark(disk_folder, monkeypatch):
    monkeypatch.setattr(TieredKVCache, "drain", lambda cache: False)
    with pytest.raises(MediumError, match="a prefix of 128 tokens could not be written"):
        prefetch_serving.measure(disk_folder, PLAN)


def test_a_prefix_that_is_still_in_memory_is_not_called_cold(disk_folder, monkeypatch):
    monkeypatch.setattr(prefetch_serving, "_PREFIXES_IN_MEMORY", 6)
    with pytest.raises(MediumError, match=r"0 blocks were missed, and 0 bytes instead of"):
        prefetch_serving.measure(disk_folder, PLAN)


def test_the_faster_of_those_that_load_ahead_is_the_best():
    rates = {DEMAND: 1.0, "layer_wise": 9.0, PREDICTED: 1.5, PREDICTED_LAYER_WISE: 2.0}
    found = serving(**rates)
    assert found.best() == PREDICTED_LAYER_WISE
    assert found.ratio().median == pytest.approx(1.5)
    assert found.ratio(found.best()).median == pytest.approx(2.0)


@pytest.mark.parametrize(("waiting", "limit"), [(0.5, 2.0), (0.8, 1.25), (0.2, 1.25)])
def test_the_longer_of_reading_and_computing_is_the_limit(waiting, limit):
    assert serving(waiting, on_demand=1.0).limit == pytest.approx(limit)


def test_a_token_attends_as_softmax_says():
    rng = np.random.default_rng(3)
    query = rng.standard_normal((2, 8)).astype(np.float32)
    k, v = rng.standard_normal((2, 20, 2, 8)).astype(np.float32)
    expected = []
    for head in range(2):
        weights = np.exp(k[:, head].astype(float) @ query[head] / np.sqrt(8))
        expected.append(weights / weights.sum() @ v[:, head])
    got = prefetch_serving._attend(query, k, v)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_prefix_is_a_whole_number_of_blocks():
    assert ServingPlan(1, 4096, 10).prefix_blocks == 4096 // LAYOUT.block_tokens == 64
