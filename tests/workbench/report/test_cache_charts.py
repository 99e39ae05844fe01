"""Day 4's charts: each draws the rows it names, and says in words what it shows."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from workbench.benchmark import metrics
from workbench.benchmark.caching import eviction_steps, policy_sweep, tier_hits
from workbench.benchmark.caching.tier_simulation import Tiers
from workbench.benchmark.kv import batch_rate
from workbench.errors import ReportError
from workbench.report import cache_charts, figures

LOOP = trace_of(*[[1, 2], [3, 4], [5, 6]] * 5)


def row(metric, value, **labels):
    return metrics.rows(metric, "x/s", [value], **labels)


def drawn(figure):
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])
    return figure.alt


@pytest.fixture(scope="module")
def swept():
    trace = trace_of(*([block] for block in [1, 2, 3, 1, 4, 2, 5, 1, 2, 3, 1, 2] * 6))
    # Names have no spaces in the real traces.
    named = type(trace)(
        **{name: getattr(trace, name) for name in trace.__slots__} | {"name": "loop"}
    )
    return policy_sweep.measure([named], [2, 4]).metrics


def test_batches_have_a_line_a_geometry_beside_the_copies():
    rows = pl.concat(
        [
            row("batch_append", 10.0, case="geometry=2x2x64 float16 batch=1", variant="append"),
            row("batch_append", 30.0, case="geometry=2x2x64 float16 batch=16", variant="append"),
            row("batch_append", 40.0, case="geometry=2x2x64 float16", variant=batch_rate.CEILING),
        ]
    )
    said = drawn(cache_charts.batches(rows))
    assert "copy ceiling, 2x2x64" in said
    assert "30" in said
    assert "40" in said


def test_policies_are_drawn_over_the_size_on_one_trace(swept):
    said = drawn(cache_charts.policies(swept, "loop"))
    assert "Hit rate by cache size: loop" in said
    assert "min" in said
    with pytest.raises(ReportError, match="no rows"):
        cache_charts.policies(swept, "another")


def test_fractions_of_min_leave_min_out_and_begin_with_the_best(swept):
    said = drawn(cache_charts.of_min(swept, 4))
    assert "What each policy hits of MIN's hits, 4 blocks" in said
    rows = swept.filter(pl.col("metric") == "fraction_of_min", pl.col("case").str.ends_with("=4"))
    best = rows.filter(pl.col("variant") != "min").sort("value", descending=True)
    first, last = (
        f"{best[at, 'variant'].replace('_', ' ')} {best[at, 'value']:.1%}" for at in (0, -1)
    )
    assert f"loop: {first.replace('%', ' %')} down to {last.replace('%', ' %')}." in said


def test_tiers_add_what_both_found():
    found = tier_hits.measure(LOOP, Tiers(2, 100), [])
    said = drawn(cache_charts.tiers(found.metrics))
    assert "memory alone 0" in said
    assert "write through 80" in said
    assert "without end 80" in said


def test_prefetch_stands_under_what_overlap_allows():
    rows = pl.concat(
        row("prefetch_serving", rate, variant=name)
        for name, rate in (("on_demand", 10.0), ("predicted", 16.0))
    )
    said = drawn(cache_charts.prefetch(rows, 1.8))
    assert "predicted 16" in said
    assert "without a gap: at 18" in said


def test_an_eviction_says_what_went_and_what_min_would_take():
    trace = trace_of([1], [2], [3], [1], [4], [2])
    first, *_, last = eviction_steps.record(trace, "lru", 2, 9)
    said = drawn(cache_charts.eviction(first, "lru"))
    assert "Eviction 1 by lru: request 2 needs room" in said
    assert "lru takes 1, needed again 1 requests later" in said
    assert "MIN would take 2, needed again 3 requests later" in said
    chart = str(cache_charts.eviction(first, "lru").chart.to_dict())
    assert "MIN would take this one" in chart
    assert "as good as MIN's choice" not in chart
    # A victim that is needed as late as MIN's says so, and is drawn as the victim it is.
    good = cache_charts.eviction(last, "lru")
    assert "never needed again" in drawn(good)
    assert "as good as MIN's choice" in str(good.chart.to_dict())


def test_a_number_beyond_the_last_eviction_shows_the_last_one(monkeypatch):
    steps = eviction_steps.record(trace_of([1], [2], [3], [1]), "lru", 2, 9)
    monkeypatch.setattr(eviction_steps, "of_sessions", lambda policy, seed: tuple(steps))
    figure = cache_charts.eviction_of(SimpleNamespace(policy="lru", eviction=60, seed=0))
    assert figure.title.startswith(f"Eviction {len(steps)} by lru")
