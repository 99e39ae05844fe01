"""Each eviction names what went and what MIN would have taken, among the same held blocks."""

from __future__ import annotations

import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from workbench.benchmark.caching import eviction_steps
from workbench.benchmark.caching.cache_simulation import MIN, simulate
from workbench.benchmark.caching.eviction_steps import HeldBlock
from workbench.errors import UsageError
from workbench.tiering import eviction

A, B, C, D = [1], [2], [3], [4]
TRACE = trace_of(A, B, C, A, D, B)


def test_the_oldest_goes_where_min_would_have_kept_it():
    first, *_ = eviction_steps.record(TRACE, "lru", 2, 9)
    assert (first.number, first.request, first.incoming) == (1, 2, 3)
    assert first.held == (HeldBlock(1, 0, 3), HeldBlock(2, 1, 5))
    assert first.victim.block == 1
    assert first.best.block == 2
    assert not first.is_as_good


def test_what_is_never_needed_again_is_as_good_as_min_s_choice():
    last = eviction_steps.record(TRACE, "lru", 2, 9)[-1]
    assert (last.request, last.incoming) == (5, 2)
    assert last.victim.next_request is None
    assert last.is_as_good


@pytest.mark.parametrize("policy", [*eviction.POLICIES, MIN])
def test_every_eviction_of_a_replay_is_recorded_until_enough_are(policy):
    blocks = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6, 2, 6]
    trace = trace_of(*([block] for block in blocks))
    steps = eviction_steps.record(trace, policy, 4, 99)
    assert len(steps) == simulate(trace, policy, 4).n_evictions > 5
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    for step in steps:
        assert len(step.held) == 4
        assert step.victim in step.held
        assert step.incoming == blocks[step.request]
        for held in step.held:
            assert blocks[held.last_request] == held.block
            later = blocks[step.request :]
            gap = later.index(held.block) + step.request if held.block in later else None
            assert held.next_request == gap
    assert eviction_steps.record(trace, policy, 4, 3) == steps[:3]


def test_min_s_own_choices_are_as_good_as_min_s():
    trace = trace_of(*([block % 7] for block in range(0, 200, 3)), *([1], [6], [2]) * 9)
    steps = eviction_steps.record(trace, MIN, 3, 99)
    assert steps
    assert all(step.is_as_good for step in steps)


def test_the_request_under_way_may_still_need_a_block():
    # Deepest first: 3 comes before 1 is used, so 1, held from before, is needed in this request.
    trace = trace_of([2, 1], [1, 3])
    (step,) = eviction_steps.record(trace, "fifo", 2, 9)[:1]
    assert (step.incoming, step.request) == (3, 1)
    assert {held.block: held.next_request for held in step.held} == {1: 1, 2: None}
    (row,) = eviction_steps.table([step]).rows(named=True)
    assert row["needed again"] == "in this request"
    assert row["needed again, MIN's"] == "never"


def test_the_table_says_when_each_one_is_needed_again():
    table = eviction_steps.table(eviction_steps.record(TRACE, "lru", 2, 9))
    first = table.row(0, named=True)
    assert (first["block that came"], first["block that went"], first["MIN's choice"]) == (3, 1, 2)
    assert (first["needed again"], first["needed again, MIN's"]) == (
        "in 1 request",
        "in 3 requests",
    )
    assert first["as good"] is False


def test_real_sessions_fill_the_cache_that_is_drawn():
    steps = eviction_steps.of_sessions("arc")
    assert len(steps) == eviction_steps.N_STEPS
    assert {len(step.held) for step in steps} == {24}
    assert eviction_steps.of_sessions("arc") is steps


def test_an_unknown_policy_is_refused():
    with pytest.raises(UsageError, match="lruu"):
        eviction_steps.record(TRACE, "lruu", 2, 9)
