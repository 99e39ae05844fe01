"""Every policy replays every trace at every size, and none hits more than MIN or the reachable."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from workbench.benchmark.caching import policy_sweep
from workbench.benchmark.caching.cache_simulation import MIN, simulate
from workbench.benchmark.caching.policy_sweep import POLICIES, REACHABLE

SIZES = (4, 16)


@pytest.fixture(scope="module")
def trace():
    drawn = np.random.default_rng(5).zipf(1.3, 600) % 50
    return trace_of(*([int(block)] for block in drawn))


@pytest.fixture(scope="module")
def swept(trace):
    return policy_sweep.measure([trace], SIZES)


def rates(swept, metric="hit_rate"):
    rows = swept.metrics.filter(pl.col("metric") == metric)
    return {(row["case"], row["variant"]): row["value"] for row in rows.rows(named=True)}


def test_every_policy_has_its_simulated_rate_at_every_size(trace, swept):
    found = rates(swept)
    assert len(found) == len(POLICIES) * len(SIZES) + 1
    for policy in POLICIES:
        for size in SIZES:
            rate = simulate(trace, policy, size).hit_rate
            assert found[f"trace=made up blocks={size}", policy] == rate
    assert found["trace=made up", REACHABLE] == 1 - trace.n_distinct / trace.n_references


def test_nobody_beats_min_on_single_blocks_and_min_reaches_itself(swept):
    of_min = rates(swept, "fraction_of_min")
    assert max(of_min.values()) == 1
    assert {value for (_, policy), value in of_min.items() if policy == MIN} == {1.0}
    assert min(of_min.values()) < 0.9


def test_the_table_has_a_row_a_policy_and_a_column_a_size(swept):
    assert swept.table.columns == [
        "trace",
        "policy",
        "4 blocks",
        "16 blocks",
        "of MIN at 4",
        "of MIN at 16",
    ]
    assert swept.table["policy"].to_list() == list(POLICIES)


def test_where_min_hits_nothing_no_policy_is_blamed():
    swept = policy_sweep.measure([trace_of([1], [2], [3])], [2])
    assert set(rates(swept, "fraction_of_min").values()) == {0.0}
