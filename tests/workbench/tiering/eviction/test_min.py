"""The block goes that is needed the latest, and no policy hits more often."""

import itertools
import random

from tests.contracts.policy_contract import PolicyContract, use
from tests.workbench.tiering.eviction.agreement import CAPACITIES, references
from tests.workbench.tiering.eviction.libcachesim import LIBCACHESIM, object_hits
from tests.workbench.tiering.eviction.naive import NaiveMin
from workbench.tiering import eviction
from workbench.tiering.eviction.min import NEVER, Min


class TestMin(PolicyContract):
    def make(self, capacity_blocks):
        times = random.Random(11)
        return Min(capacity_blocks, (times.getrandbits(60) for _ in itertools.count()))


class TestMinOfBlocksNeverNeededAgain(PolicyContract):
    def make(self, capacity_blocks):
        return Min(capacity_blocks, itertools.repeat(NEVER))


def next_uses(keys):
    return [
        next((at for at in range(now + 1, len(keys)) if keys[at] == key), NEVER)
        for now, key in enumerate(keys)
    ]


def hits(policy, keys):
    found = 0
    for key in keys:
        found += key in policy
        use(policy, key)
    return found


def test_the_block_needed_the_latest_goes_first():
    keys = [1, 2, 3, 4, 2, 1, 3]
    policy = Min(3, next_uses(keys))
    assert [use(policy, key) for key in keys] == [None, None, None, 3, None, None, 4]


def test_it_agrees_with_the_naive_one():
    for keys in references():
        future = next_uses(keys)
        for capacity in CAPACITIES:
            policy, naive = Min(capacity, future), NaiveMin(capacity, future)
            assert [use(policy, key) for key in keys] == [naive.use(key) for key in keys]
            policy.check()


def test_no_policy_hits_more_often():
    for keys in references():
        future = next_uses(keys)
        for capacity in CAPACITIES:
            most = hits(Min(capacity, future), keys)
            for name in eviction.POLICIES:
                assert hits(eviction.create(name, capacity), keys) <= most, (name, capacity)


def test_it_hits_as_often_as_libcachesims(conversation):
    future = conversation.next_uses().tolist()
    for capacity, expected in LIBCACHESIM["min"].items():
        assert object_hits(Min(capacity, future), conversation) == expected
