"""Blocks go in the order in which they came, used or not."""

from tests.contracts.policy_contract import PolicyContract, use
from tests.workbench.tiering.eviction.agreement import assert_same_victims
from workbench.tiering.eviction.fifo import Fifo


class TestFifo(PolicyContract):
    def make(self, capacity_blocks):
        return Fifo(capacity_blocks)


def test_it_agrees_with_the_naive_one():
    assert_same_victims("fifo", Fifo)


def test_a_use_does_not_save_a_block():
    policy = Fifo(3)
    for key in (1, 2, 3, 1, 1):
        use(policy, key)
    assert [use(policy, key) for key in (4, 5, 1)] == [1, 2, 3]
