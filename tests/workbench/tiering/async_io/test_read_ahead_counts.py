"""ReadAheadCounts: each read in one row; trust goes with waste and comes back with use."""

from __future__ import annotations

import pytest

from workbench.tiering.async_io.read_ahead_counts import ReadAheadCounts
from workbench.tiering.async_io.stream import Chunk


def chunk(used_bytes: int, state: str = "ready") -> Chunk:
    return Chunk(0, 8, memoryview(bytearray(8)), state=state, used_bytes=used_bytes)


@pytest.mark.parametrize(("n_bytes", "row"), [(8, "hits"), (3, "partial"), (0, "misses")])
def test_a_read_is_counted_by_how_much_it_got(n_bytes: int, row: str) -> None:
    counts = ReadAheadCounts()
    counts.got(n_bytes, 8)
    counts.missed(2)
    stats = counts.stats(held=1)
    assert stats.reads == stats.hits + stats.partial + stats.misses == 3
    assert getattr(stats, row) == (3 if row == "misses" else 1)
    assert (stats.hit_bytes, stats.held) == (n_bytes, 1)


def test_waste_ends_trust_and_use_brings_it_back() -> None:
    counts = ReadAheadCounts()
    assert counts.trusted
    for _ in range(6):
        counts.retired(chunk(0))
    assert not counts.trusted
    for _ in range(6):
        counts.retired(chunk(8))
    assert counts.trusted
    stats = counts.stats(held=0)
    assert (stats.used, stats.wasted, stats.wasted_bytes) == (6, 6, 48)


def test_a_read_that_failed_says_nothing_of_its_reader() -> None:
    counts = ReadAheadCounts()
    for _ in range(20):
        counts.fetched(8)
        counts.retired(chunk(0, "failed"))
    stats = counts.stats(held=0)
    assert counts.trusted
    assert (stats.rate, stats.failed, stats.chunks, stats.fetched_bytes) == (1.0, 20, 20, 160)
