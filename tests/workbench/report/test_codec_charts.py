"""Day 22's charts: each draws the rows it names, and says in words what it shows."""

import polars as pl
import pytest

from tests.workbench.benchmark import codec_findings
from workbench.benchmark import metrics
from workbench.benchmark.codecs import codec_tables
from workbench.report import codec_charts, figures


@pytest.fixture(scope="module")
def rows():
    grid = codec_findings.grid()
    hits = [
        metrics.rows("codec_hit_rate", "ratio", [value], case="trace=x", variant=name)
        for name, value in (("none", 0.4), ("int8", 0.5))
    ]
    return pl.concat(
        [
            codec_tables.quality_metrics(grid.quality),
            grid.metrics,
            codec_tables.choice_metrics(grid.rates(), 1e8),
            *hits,
        ]
    )


def drawn(figure):
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])
    return figure.alt


def test_quality_is_drawn_beside_a_moved_last_bit(rows):
    said = drawn(codec_charts.quality(rows))
    assert "none, last bit moved" in said
    assert "int4-hadamard" in said
    assert "int8" in drawn(codec_charts.quality(rows, "every block coded"))


def test_speeds_are_drawn_beside_the_copy(rows):
    said = drawn(codec_charts.speeds(rows, "2x1x64"))
    assert "copy" in said
    assert "decode" in said


def test_restores_are_held_against_float16s(rows):
    said = drawn(codec_charts.restores(rows))
    assert "float16 as it is" in said
    assert "lossless" in said


def test_the_choice_is_a_line_a_codec(rows):
    said = drawn(codec_charts.choice(rows))
    assert "int8" in said
    assert "8" in said


def test_hits_are_percent(rows):
    said = drawn(codec_charts.tiers(rows))
    assert "50" in said


def test_a_replay_is_drawn_tier_by_tier_beside_memory_alone():
    shares = [("int8", "hot", 0.25), ("int8", "cold", 0.5), ("memory_alone", "hot", 0.125)]
    found = [
        metrics.rows("tier_hit_rate", "ratio", [share], tier=tier, variant=name)
        for name, tier, share in (*shares, ("memory_alone", "cold", 0.0))
    ]
    said = drawn(codec_charts.replay(pl.concat(found)))
    assert "int8, in memory" in said
    assert "int8, on the SSD" in said
    assert "memory alone" in said
    assert "12.5" in said
