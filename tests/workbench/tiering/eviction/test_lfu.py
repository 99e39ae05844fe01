"""The block goes that was used the fewest times, then the longest ago."""

from tests.contracts.policy_contract import PolicyContract, use
from tests.workbench.tiering.eviction.agreement import assert_same_victims
from workbench.tiering.eviction.lfu import Lfu


class TestLfu(PolicyContract):
    def make(self, capacity_blocks):
        return Lfu(capacity_blocks)


def test_it_agrees_with_the_naive_one():
    assert_same_victims("lfu", Lfu)


def test_one_more_use_saves_a_block_from_newer_ones():
    policy = Lfu(3)
    for key in (1, 1, 2, 3):
        use(policy, key)
    assert [use(policy, key) for key in (4, 5, 6)] == [2, 3, 4]
    assert 1 in policy


def test_uses_are_forgotten_with_the_block():
    policy = Lfu(2)
    for key in (1, 1, 1, 2, 2):
        use(policy, key)
    policy.remove(1)
    policy.insert(1)
    assert policy.evict() == 1


def test_when_the_least_used_are_pinned_the_next_goes():
    policy = Lfu(3)
    for key in (1, 2, 2, 3, 3, 3):
        use(policy, key)
    assert policy.evict(lambda key: key == 1) == 2
