"""What every eviction policy must do, as a class that the tests of each one inherit.

Follows: eviction.policy.Policy.
Leaves out: which block goes first, which is what the policies differ in.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import UsageError

DIGESTS = [hashlib.sha256(bytes([n])).digest() for n in range(40)]
# What a cache may say, for one of the keys: it was used, it is gone, or room is needed.
STEPS = st.lists(st.tuples(st.sampled_from("uuuure"), st.integers(0, 39)), max_size=300)
# One method serves every subclass, so an example kept for one is tried on the others, too.
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
PINNED = st.sets(st.integers(0, 39), max_size=12)


def use(policy: Any, key: Any, is_pinned: Any = lambda key: False) -> Any:
    """Do as a cache does with a block that is asked for; return the victim, if one had to go."""
    if key in policy:
        policy.touch(key)
        return None
    victim = policy.evict(is_pinned) if len(policy) == policy.capacity_blocks else None
    if len(policy) < policy.capacity_blocks:
        policy.insert(key)
    return victim


class PolicyContract:
    """Inherit, and say how a policy is made."""

    def make(self, capacity_blocks: int) -> Any:
        raise AssertionError("a subclass makes the policy")

    def filled(self, capacity_blocks: int, keys: Any) -> Any:
        policy = self.make(capacity_blocks)
        for key in keys:
            use(policy, key)
        return policy

    def test_an_empty_one_holds_nothing_and_has_no_victim(self):
        policy = self.make(4)
        assert (len(policy), policy.capacity_blocks) == (0, 4)
        assert DIGESTS[0] not in policy
        assert policy.evict() is None
        policy.check()

    def test_what_was_inserted_is_held_until_it_goes(self):
        policy = self.filled(4, DIGESTS[:3])
        assert [key in policy for key in DIGESTS[:4]] == [True, True, True, False]
        gone = [policy.evict() for _ in range(4)]
        assert set(gone[:3]) == set(DIGESTS[:3])
        assert (gone[3], len(policy)) == (None, 0)
        policy.check()

    def test_room_for_one_is_enough(self):
        policy = self.make(1)
        victims = [use(policy, key) for key in [1, 2, 2, 3, 1, 1, 2]]
        assert victims == [None, 1, None, 2, 3, None, 1]
        assert len(policy) == 1
        policy.check()

    def test_what_is_held_is_not_inserted_twice(self):
        policy = self.filled(4, [5, 6])
        with pytest.raises(ValueError, match="block 5 is held already"):
            policy.insert(5)
        assert len(policy) == 2
        policy.check()

    def test_no_more_is_held_than_fits(self):
        policy = self.filled(3, [1, 2, 3])
        with pytest.raises(ValueError, match="all 3 blocks are held; evict one first"):
            policy.insert(4)
        assert 4 not in policy
        policy.check()

    @pytest.mark.parametrize("verb", ["touch", "remove"])
    def test_what_is_not_held_cannot_be_used_or_removed(self, verb):
        policy = self.filled(3, [1, 2, 3, 4, 5])
        gone = next(key for key in range(1, 6) if key not in policy)
        for key in (gone, 99):
            with pytest.raises(KeyError):
                getattr(policy, verb)(key)
        assert len(policy) == 3
        policy.check()

    def test_what_was_removed_is_gone_and_may_come_back(self):
        policy = self.filled(3, [1, 2, 3, 2])
        policy.remove(2)
        assert (2 in policy, len(policy)) == (False, 2)
        policy.insert(2)
        assert (2 in policy, len(policy)) == (True, 3)
        policy.check()

    def test_an_evicted_block_may_come_back(self):
        policy = self.filled(3, [1, 2, 3])
        for _ in range(20):
            victim = policy.evict()
            policy.check()
            policy.insert(victim)
            assert victim in policy
            assert len(policy) == 3
            policy.check()

    def test_pinned_blocks_stay_and_when_all_are_there_is_no_victim(self):
        policy = self.filled(5, [1, 2, 3, 4, 5, 4, 2])
        free = {2, 4}
        gone = [policy.evict(lambda key: key not in free) for _ in range(3)]
        assert (set(gone[:2]), gone[2]) == (free, None)
        assert sorted(key for key in range(6) if key in policy) == [1, 3, 5]
        assert policy.evict(lambda key: True) is None
        assert len(policy) == 3
        policy.check()

    @pytest.mark.parametrize("capacity_blocks", [0, -1])
    def test_a_capacity_below_one_is_refused(self, capacity_blocks):
        with pytest.raises(UsageError, match=f"capacity_blocks={capacity_blocks} holds nothing"):
            self.make(capacity_blocks)

    def test_the_same_calls_give_the_same_victims(self):
        rng = random.Random(3)
        keys = [rng.choice(DIGESTS) for _ in range(2000)]
        first, second = self.make(9), self.make(9)
        victims = [use(first, key) for key in keys]
        assert [use(second, key) for key in keys] == victims
        assert sum(victim is not None for victim in victims) > 100

    @settings(SHARED, max_examples=60)
    @given(capacity=st.integers(1, 12), steps=STEPS, pinned=PINNED)
    def test_it_holds_exactly_what_it_was_told(self, capacity, steps, pinned):
        policy = self.make(capacity)
        held: set[int] = set()
        for verb, key in steps:
            victim = None
            if verb == "e":
                victim = policy.evict(pinned.__contains__)
                assert (victim is None) == (held <= pinned)
            elif verb == "r" and key in held:
                policy.remove(key)
                held.discard(key)
            elif verb == "u":
                may_join = key in held or len(held) < capacity or not held <= pinned
                victim = use(policy, key, pinned.__contains__)
                held |= {key} if may_join else set()
            if victim is not None:
                assert victim in held - pinned
                held.discard(victim)
            assert {key for key in range(40) if key in policy} == held
            assert len(policy) == len(held) <= capacity
        policy.check()

    @settings(SHARED, max_examples=30)
    @given(capacity=st.integers(1, 12), steps=STEPS, pinned=PINNED)
    def test_its_invariants_hold_at_every_step(self, capacity, steps, pinned):
        policy = self.make(capacity)
        for verb, key in steps:
            if verb == "e":
                policy.evict(pinned.__contains__)
            elif verb == "r" and key in policy:
                policy.remove(key)
            else:
                use(policy, key, pinned.__contains__)
            policy.check()
