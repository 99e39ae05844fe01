"""Hits by tier and bytes written, for every way to run the tiers, beside the claims."""

from __future__ import annotations

import polars as pl
import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from workbench.benchmark.caching import tier_hits
from workbench.benchmark.caching.tier_hits import KV_BYTES_PER_TOKEN, MEMORY_ALONE
from workbench.benchmark.caching.tier_simulation import Tiers

A, B, C = [1, 2], [3, 4], [5, 6]
# Round and round: memory for one of three holds nothing long enough, the SSD everything.
TRACE = trace_of(*[A, B, C] * 5)
WAYS = ["memory_alone", "write_through", "write_back", "selective", "write_through_arc"]


@pytest.fixture(scope="module")
def found():
    return tier_hits.measure(TRACE, Tiers(2, 100), ["lru", "arc"])


def values(found, metric, tier):
    rows = found.metrics.filter(pl.col("metric") == metric, pl.col("tier") == tier)
    return dict(rows.select("variant", "value").rows())


def test_every_way_is_run_and_the_policy_of_all_is_not_run_twice(found):
    assert set(values(found, "tier_hit_rate", "hot")) == set(WAYS)
    assert found.table["tiers"].to_list() == [name.replace("_", " ") for name in WAYS]


def test_only_the_write_policies_asked_for_are_run(found):
    few = tier_hits.measure(TRACE, Tiers(2, 100), [], writes=())
    assert list(few.hit_rates) == [MEMORY_ALONE, "write_through"]
    assert few.hit_rates.items() <= found.hit_rates.items()
    assert few.hit_rates == {MEMORY_ALONE: 0, "write_through": 24 / 30}


def test_the_ssd_finds_what_memory_lost(found):
    hot, cold = (values(found, "tier_hit_rate", tier) for tier in ("hot", "cold"))
    assert (hot[MEMORY_ALONE], cold[MEMORY_ALONE]) == (0, 0)
    assert cold["write_through"] == 24 / 30
    reachable = found.metrics.filter(pl.col("variant") == "without_end")["value"].item()
    assert reachable == 24 / 30


def test_what_is_written_is_counted_in_a_real_model_s_bytes(found):
    rows = found.metrics.filter(pl.col("metric") == "ssd_written")
    written = dict(rows.select("variant", "value").rows())
    assert KV_BYTES_PER_TOKEN == 128 * 1024
    assert tier_hits.block_bytes(TRACE) == 16 * KV_BYTES_PER_TOKEN
    assert written[MEMORY_ALONE] == 0
    assert written["write_through"] == 6 * 16 * KV_BYTES_PER_TOKEN
    through = found.table.row(1, named=True)
    assert through["SSD written, GiB"] == 6 * 16 / 8192
    assert (through["hits"], through["written per block asked for"]) == ("80.0%", 0.2)


def test_the_claims_are_judged_by_the_rates(found):
    assert found.claims["hits"].to_list() == ["80.0%", "80.0%", "0.0%"]
    assert found.claims["holds"].to_list() == [True, True, True]
    # With room for everything memory alone hits as well, which refutes the third claim.
    roomy = tier_hits.measure(TRACE, Tiers(8, 100), [])
    assert roomy.claims["holds"].to_list() == [True, True, False]
    hopeless = tier_hits.measure(trace_of(A, B, C), Tiers(2, 100), [])
    assert hopeless.claims["holds"].to_list() == [False, False, True]


def test_the_notes_say_what_the_workload_is(found):
    workload, sizes, policy = found.notes
    assert "15 requests" in workload
    assert "at most 80.0% of all blocks can hit" in workload
    assert "memory holds 2 blocks of 16 tokens, the SSD 100" in sizes
    assert "by lru" in policy
