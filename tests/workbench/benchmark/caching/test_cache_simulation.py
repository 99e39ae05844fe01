"""Hits on real traces are pinned and agree with a naive replay; what a hit is, on toys."""

import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from tests.workbench.tiering.eviction.naive import NAIVE, NaiveCounts, NaiveMin
from workbench.benchmark.caching import cache_simulation, trace_mooncake
from workbench.benchmark.caching.cache_simulation import (
    MIN,
    leading_run,
    reachable_hit_rate,
    simulate,
)
from workbench.errors import UsageError
from workbench.tiering import eviction

ALL = [*eviction.POLICIES, MIN]
# Blocks hit over the whole trace, by capacity.
PINNED = {
    "mooncake-conversation": {
        "fifo": {1_000: 12_840, 10_000: 52_514},
        "lru": {1_000: 12_847, 10_000: 61_046},
        "lfu": {1_000: 13_871, 10_000: 38_133},
        "recency_frequency": {1_000: 12_945, 10_000: 63_075},
        "arc": {1_000: 15_275, 10_000: 64_210},
        "s3_fifo": {1_000: 16_041, 10_000: 56_334},
        "w_tinylfu": {1_000: 14_076, 10_000: 36_260},
        "min": {1_000: 54_994, 10_000: 105_710},
    },
    "mooncake-synthetic": {
        "fifo": {1_000: 9_966, 10_000: 49_047},
        "lru": {1_000: 10_252, 10_000: 51_669},
        "lfu": {1_000: 5_075, 10_000: 43_974},
        "recency_frequency": {1_000: 10_912, 10_000: 52_961},
        "arc": {1_000: 11_349, 10_000: 52_902},
        "s3_fifo": {1_000: 10_552, 10_000: 50_736},
        "w_tinylfu": {1_000: 1_340, 10_000: 29_809},
        "min": {1_000: 33_714, 10_000: 75_315},
    },
}


@pytest.fixture(scope="module", params=PINNED)
def trace(request):
    return trace_mooncake.read(request.param)


@pytest.mark.parametrize("policy", ALL)
def test_hits_on_real_traces_are_what_they_were(trace, policy):
    for capacity, hits in PINNED[trace.name][policy].items():
        outcome = simulate(trace, policy, capacity)
        assert outcome.hit_blocks == hits
        assert (outcome.policy, outcome.capacity_blocks) == (policy, capacity)


# Found independently, with other code, before this one was written; %.
KNOWN = {
    "mooncake-conversation": ((19.06, 34.12, 36.64), (4.45, 11.18, 21.16), 36.64),
    "mooncake-synthetic": ((27.66, 52.62, 61.80), (8.41, 27.93, 42.39), 63.96),
}


def test_hit_rates_are_those_that_others_found(trace):
    of_min, of_lru, reachable = KNOWN[trace.name]
    for policy, expected in ((MIN, of_min), ("lru", of_lru)):
        rates = [100 * simulate(trace, policy, n).hit_rate for n in (1_000, 5_000, 10_000)]
        assert rates == pytest.approx(expected, abs=0.006)
    assert 100 * reachable_hit_rate(trace) == pytest.approx(reachable, abs=0.006)


def naive_hits(trace, naive):
    hits = []
    for request in trace:
        run = 0
        for block in request.tolist():
            if block not in naive.blocks:
                break
            run += 1
        hits.append(run)
        for block in request.tolist()[::-1]:
            naive.use(block)
    return hits


@pytest.mark.parametrize("policy", ALL)
def test_hits_agree_with_a_naive_replay(trace, policy):
    start = trace.head(150)
    for capacity in (20, 300):
        future = start.next_uses().tolist()
        naive = NaiveMin(capacity, future) if policy == MIN else NAIVE[policy](capacity)
        quick = cache_simulation.make_policy(policy, capacity, start)
        if policy == "w_tinylfu":
            quick._sketch = NaiveCounts(capacity)  # the sketch may count too high
        outcome = cache_simulation.replay(start, quick)
        assert outcome.hits.tolist() == naive_hits(start, naive)
        assert outcome.hit_blocks <= simulate(start, MIN, capacity).hit_blocks


def test_only_the_leading_run_hits():
    # 3 is held when the third request comes, but what is before it is not.
    trace = trace_of([1, 3], [1, 2], [5, 3], [1, 2, 9])
    outcome = simulate(trace, "lru", 10)
    assert outcome.hits.tolist() == [0, 1, 0, 2]
    assert (outcome.hit_blocks, outcome.n_references, outcome.n_evictions) == (3, 9, 0)
    assert outcome.hit_rate == pytest.approx(1 / 3)


def test_of_a_prefix_the_deepest_block_goes_first():
    trace = trace_of([1, 2, 3], [4], [1, 2, 3])
    assert simulate(trace, "lru", 3).hits.tolist() == [0, 0, 2]


def test_a_request_longer_than_the_cache_leaves_its_leading_blocks():
    trace = trace_of([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    outcome = simulate(trace, "lru", 2)
    assert outcome.hits.tolist() == [0, 2]
    assert outcome.n_evictions == 8


def test_nothing_asked_for_is_no_hit():
    outcome = simulate(trace_of(), "lru", 2)
    assert (outcome.hit_rate, outcome.n_evictions, reachable_hit_rate(trace_of())) == (0, 0, 0)


def test_a_cache_without_end_hits_what_is_reachable():
    trace = trace_of([1, 2], [1, 3], [1, 2, 4], [1, 2, 4])
    assert reachable_hit_rate(trace) == 6 / 10
    for policy in ALL:
        assert simulate(trace, policy, 100).hit_rate == 6 / 10


def test_the_leading_run_ends_at_the_first_gap():
    assert leading_run({1, 2, 4}, [1, 2, 3, 4]) == 2
    assert leading_run({1, 2}, [1, 2]) == 2
    assert leading_run(set(), [1]) == leading_run({1}, []) == 0


def test_an_unknown_policy_and_no_room_are_refused():
    with pytest.raises(UsageError, match="did you mean"):
        simulate(trace_of([1]), "lruu", 3)
    for policy in ALL:
        with pytest.raises(UsageError, match="holds nothing"):
            cache_simulation.make_policy(policy, 0, trace_of([1]))
