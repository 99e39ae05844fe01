"""The block goes whose last use is the longest ago."""

from tests.contracts.policy_contract import PolicyContract, use
from tests.workbench.tiering.eviction.agreement import assert_same_victims
from workbench.tiering.eviction.lru import Lru


class TestLru(PolicyContract):
    def make(self, capacity_blocks):
        return Lru(capacity_blocks)


def test_it_agrees_with_the_naive_one():
    assert_same_victims("lru", Lru)


def test_a_use_saves_a_block():
    policy = Lru(3)
    for key in (1, 2, 3, 1):
        use(policy, key)
    assert [use(policy, key) for key in (4, 5, 2)] == [2, 3, 1]
