"""measure_slab(): memory is taken at first touch, counted whole, and given back."""

import numpy as np
import psutil
import pytest

from workbench.benchmark import metrics
from workbench.benchmark.kv import hot_slab
from workbench.benchmark.kv.hot_slab import STEPS, affordable_bytes, measure_slab
from workbench.errors import UsageError

N_BYTES = 64 << 20


@pytest.fixture(scope="module")
def cost():
    return measure_slab(N_BYTES, rounds=3)


def test_allocating_takes_no_memory_and_touching_takes_all_of_it(cost):
    assert set(cost.rss_bytes) == set(STEPS)
    assert np.median(cost.rss_bytes["allocate"]) < N_BYTES / 10
    for step in ("first_touch", "rewrite"):
        assert np.median(cost.rss_bytes[step]) == pytest.approx(N_BYTES, rel=0.1)


def test_the_slab_is_given_back(cost):
    before = psutil.Process().memory_info().rss
    measure_slab(N_BYTES, rounds=1)
    assert psutil.Process().memory_info().rss - before < N_BYTES / 2


def test_seconds_are_per_gib(cost):
    for step in STEPS:
        assert cost.s_per_gib(step).tolist() == pytest.approx((16 * cost.seconds[step]).tolist())


def test_rows_and_table_say_the_same(cost):
    rows = cost.rows("model=seed tokens=64", "fp32")
    assert dict(rows.schema) == metrics.SCHEMA
    assert set(rows["metric"]) == {"hot_slab_rss", *(f"hot_slab_{step}" for step in STEPS)}
    assert set(rows["tier"]) == {"hot"}
    touched = metrics.best(rows, metric="hot_slab_rss")
    table = cost.table()
    assert table["step"].to_list() == ["allocate", "first touch", "rewrite"]
    assert table["RSS growth MiB"][2] == touched / (1 << 20)
    assert all(table["fastest"] <= table["s/GiB"])
    assert all(table["s/GiB"] <= table["slowest"])


@pytest.mark.parametrize(("n_bytes", "rounds"), [(0, 1), (-1, 1), (4096, 0), (1 << 50, 1)])
def test_what_cannot_be_measured_is_refused(n_bytes, rounds):
    with pytest.raises(UsageError, match="fewer hot tokens"):
        measure_slab(n_bytes, rounds)


def test_a_slab_leaves_half_of_the_free_memory_to_others(monkeypatch):
    class Memory:
        available = 1 << 30

    monkeypatch.setattr(hot_slab.psutil, "virtual_memory", lambda: Memory)
    assert affordable_bytes() == 1 << 29
    Memory.available = 1 << 40
    assert affordable_bytes() == 2 << 30
