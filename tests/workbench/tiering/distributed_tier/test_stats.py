"""Numbers, their sums, and their Prometheus text."""

import dataclasses
import re

import pytest

from workbench.tiering.distributed_tier.counters import Counts
from workbench.tiering.distributed_tier.stats import NetworkStats

STATS = NetworkStats(
    Counts(lookups=3, hits=1, misses=2, misses_late=2, puts=4, puts_written=2, puts_dropped=1),
    "degraded",
    'it said "no"\nand left',
    (("a:1", "ok"), ('we"ird', "down")),
    writes_waiting=1,
    writes_waiting_bytes=10,
    flights=0,
    pool_bytes=0,
)


def test_sums_are_checked():
    STATS.check()
    for name in ("lookups", "misses_late", "puts", "puts_failed"):
        counts = dataclasses.replace(STATS.counts, **{name: getattr(STATS.counts, name) + 1})
        with pytest.raises(AssertionError):
            dataclasses.replace(STATS, counts=counts).check()


def test_every_line_is_prometheus():
    lines = STATS.prometheus().splitlines()
    sample = re.compile(r'network_tier_\w+(\{\w+="(?:[^"\\\n]|\\.)*"\})? \d+')
    kind = re.compile(r"# TYPE network_tier_\w+ (counter|gauge)")
    assert all(sample.fullmatch(line) or kind.fullmatch(line) for line in lines)
    assert "network_tier_misses_late_total 2" in lines
    assert "network_tier_writes_waiting 1" in lines
    assert 'network_tier_up{node="a:1"} 1' in lines
    assert r'network_tier_up{node="we\"ird"} 0' in lines
