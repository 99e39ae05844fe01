"""Test that counters start at nothing and count what they are told."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from workbench.tiering.tiered_kv_cache.counts import CacheCounts, DirectoryCounts, WriteCounts


@pytest.mark.parametrize("kind", [CacheCounts, DirectoryCounts, WriteCounts])
def test_every_counter_starts_at_nothing(kind):
    counts = kind()
    assert set(asdict(counts).values()) == {0}
    for name in asdict(counts):
        assert name in kind.__doc__, "a counter says what it counts"
