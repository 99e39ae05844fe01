"""Counters: a call's lookups are counted at one moment, and the sums hold."""

from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.miss import Miss


def test_a_call_s_lookups_add_up():
    counters = Counters()
    counters.looked_up(2, 300, [Miss.LATE, Miss.ABSENT, Miss.ABSENT])
    counters.looked_up(0, 0, [])
    counts = counters.read()
    assert (counts.lookups, counts.hits, counts.misses, counts.hit_bytes) == (5, 2, 3, 300)
    assert (counts.misses_late, counts.misses_absent) == (1, 2)


def test_what_was_read_does_not_change():
    counters = Counters()
    before = counters.read()
    counters.add(puts=3)
    assert (before.puts, counters.read().puts) == (0, 3)
