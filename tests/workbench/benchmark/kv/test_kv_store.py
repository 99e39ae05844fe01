"""The KV store measurement: rows, ratio, true statistics, and no rate for a wrong store."""

import numpy as np
import pytest

from workbench.benchmark import metrics
from workbench.benchmark.kv import kv_store
from workbench.benchmark.kv.kv_store import CEILING, VARIANTS, describe, measure
from workbench.errors import UsageError, WorkbenchError
from workbench.tiering.kv_geometry import SEED, KVGeometry
from workbench.tiering.tiered_kv_cache import hot_tier

TOY = KVGeometry(layers=2, kv_heads=2, head_dim=16)


@pytest.fixture(scope="module")
def result():
    return measure(TOY, hot_tokens=6, store_tokens=10, rounds=10)


def test_every_variant_and_the_ceiling_have_a_rate(result):
    assert list(result.rates) == [*VARIANTS, CEILING]
    assert all(rate > 0 and np.isfinite(rate) for rate in result.rates.values())
    assert result.ceiling_kernel in ("numpy", "njit_vector", "njit_nontemporal")


def test_ratio_is_of_rates(result):
    ratio = result.ratio("njit_scalar", CEILING)
    expected = np.median(result.samples.rate("njit_scalar") / result.samples.rate(CEILING))
    assert ratio.n_rounds == 10
    assert ratio.low <= ratio.median <= ratio.high
    assert ratio.median == pytest.approx(expected, rel=0.5)


def test_rows_are_in_the_declared_schema(result):
    frame = result.metrics
    assert frame.schema == metrics.SCHEMA
    stores = frame.filter(metric="kv_store")
    assert stores.height == 10 * (len(VARIANTS) + 1)
    assert set(stores["variant"]) == {*VARIANTS, CEILING}
    assert set(stores["unit"]) == {"tokens/s"}
    assert set(frame["tier"]) == {"hot"}
    assert set(frame["case"]) == {"geometry=2x2x16 float32"}


def test_statistics_are_those_of_the_seed_reports_thousand_tokens(result):
    stats = result.stats
    assert (stats.sequence_position, stats.hot_tokens, stats.evictions) == (1000, 6, 994)
    assert (stats.hot_hits, stats.misses, stats.cold_hits) == (0, 0, 0)
    shown = dict(result.statistics.iter_rows())
    assert (shown["hot_tokens"], shown["hot_capacity_tokens"]) == (6, 6)


def test_a_wrong_store_gets_no_rate(monkeypatch):
    def forgets_values(k_slab, v_slab, k_tokens, v_tokens, position):
        for token in range(len(k_tokens)):
            k_slab[:, (position + token) % k_slab.shape[1]] = k_tokens[token]

    broken = dict(hot_tier.kv_store.KERNEL.variants) | {"njit_scalar": forgets_values}
    kernel = hot_tier.kv_store.KERNEL
    changed = {name: getattr(kernel, name) for name in kernel.__slots__} | {"variants": broken}
    monkeypatch.setattr(hot_tier.kv_store, "KERNEL", type(kernel)(**changed))
    with pytest.raises(WorkbenchError, match="'njit_scalar' stored token 0 wrongly"):
        measure(TOY, hot_tokens=6, store_tokens=1, rounds=1)


def test_seed_geometry_has_its_name():
    assert describe(SEED) == "seed"
    assert describe(TOY) == "2x2x16 float32"


@pytest.mark.parametrize("dtype", ["float16", "uint16", "int8"])
def test_other_dtypes_are_measured_too(dtype):
    result = measure(KVGeometry(1, 1, 8, dtype), hot_tokens=4, store_tokens=3, rounds=1)
    assert result.stats.hot_tokens == 4


def test_refusals_name_everything_wrong():
    with pytest.raises(UsageError) as caught:
        measure(TOY, hot_tokens=4, store_tokens=0, rounds=0)
    assert caught.value.problems == [
        "store_tokens=0 must be at least 1",
        "rounds=0 must be at least 1",
    ]
    with pytest.raises(UsageError, match="capacity_tokens=0"):
        measure(TOY, hot_tokens=0, store_tokens=1, rounds=1)
    with pytest.raises(UsageError, match="keep fewer tokens"):
        measure(TOY, hot_tokens=1 << 50, store_tokens=1, rounds=1)


def test_the_baselines_are_variants_of_the_record():
    assert set(VARIANTS) < set(kv_store.kv_store.KERNEL.variants)
