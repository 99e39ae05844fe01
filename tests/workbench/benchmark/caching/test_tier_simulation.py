"""Two tiers hit what one of both sizes could, each counted apart, and write what they are told."""

import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from workbench.benchmark.caching import trace_sessions
from workbench.benchmark.caching.cache_simulation import reachable_hit_rate
from workbench.benchmark.caching.tier_simulation import Tiers, simulate_tiers
from workbench.errors import UsageError
from workbench.tiering import eviction
from workbench.tiering.write_policy import WRITE_POLICIES

A, B, C = [1, 2], [3, 4], [5, 6]


def counts(outcome):
    return outcome.hot_hits.tolist(), outcome.cold_hits.tolist(), outcome.n_written


def test_what_left_memory_is_found_on_the_ssd():
    outcome = simulate_tiers(trace_of(A, B, C, A), Tiers(4, 100))
    assert counts(outcome) == ([0, 0, 0, 0], [0, 0, 0, 2], 6)
    assert outcome.hits.tolist() == [0, 0, 0, 2]
    assert outcome.hit_rate == 2 / 8


def test_what_is_still_in_memory_is_found_there():
    assert counts(simulate_tiers(trace_of(A, B, A), Tiers(4, 100))) == ([0, 0, 2], [0, 0, 0], 4)


def test_without_an_ssd_what_left_memory_is_gone():
    outcome = simulate_tiers(trace_of(A, B, C, A, A), Tiers(4, 0))
    assert counts(outcome) == ([0, 0, 0, 0, 2], [0, 0, 0, 0, 0], 0)


def test_the_ssd_forgets_what_it_holds_the_longest():
    outcome = simulate_tiers(trace_of(A, B, C, [7, 8], A, C), Tiers(2, 6))
    assert outcome.hits.tolist() == [0, 0, 0, 0, 0, 2]


def test_each_write_policy_writes_what_it_says():
    trace = trace_of(A, A, B, C, A, B)
    hits = {}
    for write in WRITE_POLICIES:
        outcome = simulate_tiers(trace, Tiers(2, 100, write=write))
        hits[write] = (outcome.hits.tolist(), outcome.n_written)
    assert hits["write_through"] == ([0, 2, 0, 0, 2, 2], 6)
    # The blocks that are in memory at the end were written when they left it the first time.
    assert hits["write_back"] == ([0, 2, 0, 0, 2, 2], 6)
    # Only A was used twice before it left.
    assert hits["selective"] == ([0, 2, 0, 0, 2, 0], 2)


def test_what_memory_alone_cannot_hold_is_served_but_not_kept():
    outcome = simulate_tiers(trace_of([1, 2, 3, 4], [1, 2, 3, 4]), Tiers(3, 0))
    assert outcome.hits.tolist() == [0, 3]
    assert outcome.n_uncached == 2
    with_ssd = simulate_tiers(trace_of([1, 2, 3, 4], [1, 2, 3, 4]), Tiers(3, 9))
    assert (with_ssd.hits.tolist(), with_ssd.n_uncached) == ([0, 4], 0)


@pytest.mark.parametrize("policy", eviction.POLICIES)
def test_an_ssd_without_end_hits_what_is_reachable_whatever_the_policy(policy):
    trace = trace_sessions.read(trace_sessions.Sessions(3, merged_blocks=32), 0).head(150)
    outcome = simulate_tiers(trace, Tiers(70, trace.n_distinct, policy))
    assert outcome.hit_rate == pytest.approx(reachable_hit_rate(trace))
    assert outcome.n_written == trace.n_distinct
    assert outcome.hot_hits.sum() > 0
    assert outcome.cold_hits.sum() > 0


def test_unknown_names_and_no_room_are_refused():
    for bad in (Tiers(4, 9, policy="lruu"), Tiers(4, 9, write="write"), Tiers(0, 9)):
        with pytest.raises(UsageError):
            simulate_tiers(trace_of(A), bad)


def test_the_multi_turn_workload_needs_the_ssd():
    # Eight sessions instead of the day's sixteen, and half its memory.
    trace = trace_sessions.read(trace_sessions.Sessions(8, within_s=900), 0)
    without = simulate_tiers(trace, Tiers(64, 0))
    with_ssd = simulate_tiers(trace, Tiers(64, 4096))
    assert without.hit_rate <= 0.4
    assert with_ssd.hit_rate >= 0.6
