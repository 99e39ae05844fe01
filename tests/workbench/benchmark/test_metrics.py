"""The metrics frame: one schema, whatever is put in."""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics


def test_rows_carry_the_declared_schema_and_count_repeats() -> None:
    frame = metrics.rows("kv_store", "tokens/s", [3, 1, 2], variant="numpy_per_layer")
    assert dict(frame.schema) == metrics.SCHEMA
    assert frame["repeat"].to_list() == [0, 1, 2]


def test_conform_fills_missing_columns_and_casts_drifted_ones() -> None:
    drifted = pl.DataFrame({"metric": ["m"], "value": [1], "added_later": [True]})
    frame = metrics.conform(drifted)
    assert dict(frame.schema) == metrics.SCHEMA
    assert frame["value"].to_list() == [1.0]
    assert frame["tier"].to_list() == [None]


def test_best_is_the_largest_median_and_none_when_nothing_was_measured() -> None:
    frame = pl.concat(
        [metrics.rows("m", "u", [1, 9, 2], case="a"), metrics.rows("m", "u", [3, 3, 3], case="b")]
    )
    assert metrics.best(frame, metric="m") == 3
    assert metrics.best(frame, metric="m", case="a") == 2
    assert metrics.best(frame, metric="other") is None


def test_summary_keeps_the_order_of_first_appearance() -> None:
    frame = pl.concat([metrics.rows("z", "u", [1, 2, 3]), metrics.rows("a", "u", [5])])
    assert metrics.summary(frame).select("metric", "rounds", "median").rows() == [
        ("z", 3, 2.0),
        ("a", 1, 5.0),
    ]
