"""The time line has every request, names what happened, and says both in words."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.benchmark.network.server_died import (
    FROZEN,
    HEALTHY,
    HIT,
    KILLED,
    MISS,
    RESTARTED,
    TTFT,
    WAIT,
    WITHOUT,
)
from workbench.errors import ReportError
from workbench.report import figures, outage_chart


def rows():
    parts = [metrics.rows(WITHOUT, "s", [0.1, 0.12, 0.11])]
    served = [(HEALTHY, HIT, 0.02, 0.002)] * 2 + [(KILLED, MISS, 0.11, 0.0)] * 2
    served += [(RESTARTED, HIT, 0.02, 0.002), (FROZEN, MISS, 0.16, 0.05)]
    for number, (phase, outcome, ttft_s, wait_s) in enumerate(served, 1):
        labels = {"case": f"request={number} phase={phase}", "variant": outcome}
        parts.append(metrics.rows(TTFT, "s", [ttft_s], **labels))
        parts.append(metrics.rows(WAIT, "s", [wait_s], **labels))
    return pl.concat(parts)


def test_every_phase_is_told_and_every_event_named():
    figure = outage_chart.draw(rows(), 0.06)
    assert "healthy: 2 of 2 hit, at most 2.00 ms waited" in figure.alt
    assert "killed: 0 of 2 hit" in figure.alt
    assert "restarted, empty: 1 of 1 hit" in figure.alt
    assert "without the tier 110 ms" in figure.alt
    shown = figures.bundle(figure)
    spec = json.dumps(shown[figures.CHART_MIME]["spec"])
    assert all(name in spec for name in ("killed", "restarted", "frozen", "limit 60.0 ms"))
    assert "<svg" in str(shown["image/svg+xml"])


def test_nothing_waited_for_still_has_its_place_on_the_log_axis():
    # Requests 3 and 4 waited for 0 ms.
    assert outage_chart._requests(rows())["wait_ms"].to_list()[2:4] == [0.001, 0.001]


def test_no_rows_are_refused():
    with pytest.raises(ReportError, match="no rows"):
        outage_chart.draw(rows().filter(pl.col("metric") == WITHOUT), 0.06)


def test_events_side_by_side_are_named_on_two_levels():
    svg = str(figures.bundle(outage_chart.draw(rows(), 0.06))["image/svg+xml"])
    place = r"<text[^>]*translate\([\d.]+,([\d.]+)\)[^>]*>(?:<tspan[^>]*>)?"
    height = {
        name: float(re.search(f"{place}{name}<", svg).group(1))
        for name in (KILLED, "restarted", FROZEN)
    }
    assert height[KILLED] == height[FROZEN] < height["restarted"]
