"""The week's table: verdicts and ratios follow from baseline, now, ceiling and target."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.benchmark.week import week_review
from workbench.benchmark.week.targets import KV_STORE, LATENCY
from workbench.benchmark.week.week_review import Measured


@pytest.mark.parametrize(
    ("line", "verdict", "times", "of_ceiling"),
    [
        (Measured(KV_STORE, 5_000, 55_000, 60_000, ""), "reached", 11, 55 / 60),
        (Measured(KV_STORE, 5_000, 30_000, 60_000, ""), "open", 6, 0.5),
        (Measured(KV_STORE, 5_000, 30_000, 40_000, ""), "out of reach here", 6, 0.75),
        (Measured(KV_STORE, None, None, None, ""), "not measured yet", None, None),
        (Measured(LATENCY, 400, 20, 5, ""), "reached", 20, 0.25),
        (Measured(LATENCY, 400, 200, None, ""), "open", 2, None),
    ],
)
def test_a_line_is_judged_by_what_is_possible(line, verdict, times, of_ceiling):
    row = week_review.review([line]).row(0, named=True)
    assert row["verdict"] == verdict
    assert row["times better"] == (times and pytest.approx(times))
    assert row["of ceiling"] == (of_ceiling and pytest.approx(of_ceiling))


def test_lines_measured_alike_are_explained_once():
    lines = [Measured(KV_STORE, 1, 1, 1, "alike"), Measured(LATENCY, 1, 1, 1, "alike")]
    table = week_review.explanations([*lines, Measured(LATENCY, 1, 1, 1, "else")])
    assert table["what was measured"].to_list() == ["alike", "else"]
    assert table["target"][0] == f"{KV_STORE.name}; {LATENCY.name}"


def test_no_lines_give_empty_tables():
    assert week_review.review([]).is_empty()
    assert isinstance(week_review.explanations([]), pl.DataFrame)
