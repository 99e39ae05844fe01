"""Day 23's charts: each draws the rows it names, and says in words what it shows."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.errors import ReportError
from workbench.report import figures, selection_charts

LAYOUT = "16 tokens x 1 layer float16"


def drawn(figure):
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])
    return figure.alt


def curve(metric, unit, value):
    parts = []
    for rule, worse in (("recent", 4), ("sketch_by_need", 1)):
        for frac in (0.1, 0.3):
            case = f"frac={frac:g} layout={LAYOUT}"
            parts += [
                metrics.rows("cold_read_frac", "ratio", [frac - 0.01], case=case, variant=rule),
                metrics.rows(metric, unit, [value(frac, worse)] * 2, case=case, variant=rule),
            ]
    other = "frac=0.3 layout=64 tokens x 1 layer float16"
    parts.append(metrics.rows(metric, unit, [9.0], case=other, variant="recent"))
    whole = f"frac=1 layout={LAYOUT}"
    parts.append(metrics.rows(metric, unit, [0.0], case=whole, variant="everything"))
    return pl.concat(parts)


def test_the_map_says_where_sinks_take_most():
    rows = pl.concat(
        metrics.rows("attention_mass", "ratio", [value], case=f"layer={layer}", variant=age)
        for layer, sink in ((0, 0.25), (1, 0.5))
        for age, value in (("sinks (first 16)", sink), ("0 to 15", 1 - sink))
    )
    said = drawn(selection_charts.mass(rows))
    assert "from 25.0 % (layer 0) to 50.0 % (layer 1)" in said
    with pytest.raises(ReportError, match="no rows"):
        selection_charts.mass(rows.clear())


def test_needs_are_a_bar_a_group():
    rows = pl.concat(
        metrics.rows("layer_kl", "nats", [kl], case="frac=0.1", variant=group)
        for group, kl in (("0 to 2", 0.004), ("3 to 5", 0.012))
    )
    said = drawn(selection_charts.needs(rows))
    assert "just 10%" in said
    assert "layers 3 to 5 0.0120 nats" in said


def test_quality_is_drawn_over_what_was_read_in_one_layout():
    rows = curve("kl", "nats", lambda frac, worse: 0.001 * worse / frac)
    said = drawn(selection_charts.quality(rows, LAYOUT))
    assert "sketch by need" in said
    assert "limit from 0.0100 nats" in said
    assert "everything" not in said


def test_agreement_is_drawn_beside_the_point_where_it_breaks():
    rows = curve("top1_agreement", "ratio", lambda frac, worse: 1 - 0.01 * worse / frac)
    said = drawn(selection_charts.agreement(rows, LAYOUT))
    assert "limit from 10.0 %" in said


def test_speed_names_layout_and_share():
    rows = pl.concat(
        metrics.rows("cold_token", "ms", [ms], case=f"frac={frac} layout={LAYOUT}", variant=rule)
        for rule, frac, ms in (
            ("everything", "1", 200.0),
            ("sketch_by_need", "0.3", 80.0),
            ("sketch_by_need_once_per_frame", "0.3", 70.0),
            ("recent", "0.3", 60.0),
        )
    )
    said = drawn(selection_charts.speed(rows))
    assert f"{LAYOUT}, everything" in said
    assert "30 % of it" in said
    assert "one choice a frame" in said


def test_choices_of_layers_begin_alike_and_end_beside_int8():
    parts = []
    for rule, layers, n_bytes, kl in (
        ("all layers", 0, 11_880, 0.0001),
        ("all layers", 30, 6_570, 0.002),
        ("least loss", 15, 9_230, 0.0006),
        ("most need", 15, 9_170, 0.0014),
    ):
        case = f"layers={layers}"
        parts += [
            metrics.rows("coarse_bytes", "bytes", [n_bytes], case=case, variant=rule),
            metrics.rows("coarse_kl", "nats", [kl / 2, 3 * kl / 2], case=case, variant=rule),
        ]
    said = drawn(selection_charts.coarse(pl.concat(parts)))
    assert "least loss from 0.00200 nats at 6.40 KiB to 0.000600 nats at 9 KiB" in said
    assert "most need from 0.00200 nats at 6.40 KiB to 0.00140 nats at 9 KiB" in said
    assert "int8 everywhere from 0.000100 nats" in said
    assert "all layers" not in said
