"""Day 24's charts: each draws the rows it names, and says in words what it shows."""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.network import fleet_cost, network_hit, tier_sweep, warm_process
from workbench.report import figures, network_charts


def drawn(figure):
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])
    return figure.alt


def test_tiers_are_lines_beside_their_ceilings():
    rows = pl.concat(
        metrics.rows(
            tier_sweep.RATE, "GB/s", [kib / 100], tier=tier, case=f"block_kib={kib}", variant=name
        )
        for kib in (64, 1024)
        for tier in tier_sweep.TIERS
        for name in ("tier", tier_sweep.CEILINGS[tier])
    )
    said = drawn(network_charts.tiers(rows))
    assert "SSD from 0.640 GB/s at 64" in said
    assert "socket ceiling from" in said


def test_hits_have_a_calculated_line_beside_the_measured_ones():
    rows = pl.concat(
        metrics.rows(network_hit.METRIC, "s", [seconds], case=f"tokens={tokens}", variant=way)
        for tokens in (64, 128)
        for way, seconds in ((network_hit.HIT, 0.01), (network_hit.COMPUTED, 0.1))
    )
    # 128 tokens of 1,000 bytes over 1 Mbit/s take 1,024 ms.
    said = drawn(network_charts.hits(rows, 1, 1000))
    assert "hit over 1 Mbit/s, calculated from 522 ms at 64 to 1,034 ms at 128" in said


def test_processes_are_named_by_what_they_do():
    rows = pl.concat(
        metrics.rows(warm_process.METRIC, "ms", [ms], variant=name)
        for name, ms in ((warm_process.FIRST, 300.0), (warm_process.SECOND, 40.0))
    )
    said = drawn(network_charts.processes(rows))
    assert "second process: finds it on the server 40.0 ms" in said


def test_the_fleet_is_a_line_a_codec():
    rows = pl.concat(
        metrics.rows(
            fleet_cost.METRIC, "ratio", [rate * gib], case=f"trace=t shared_gib={gib}", variant=name
        )
        for gib in (64, 256)
        for name, rate in ((fleet_cost.LOCAL_ALONE, 0.001), ("float16", 0.002))
    )
    assert "float16 from 12.8 % at 64" in drawn(network_charts.fleet(rows))
