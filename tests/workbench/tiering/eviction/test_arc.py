"""Blocks used once and blocks used again share the room as ghosts demand."""

from tests.contracts.policy_contract import PolicyContract, use
from tests.workbench.tiering.eviction.agreement import assert_same_victims
from workbench.tiering.eviction.arc import Arc


class TestArc(PolicyContract):
    def make(self, capacity_blocks):
        return Arc(capacity_blocks)


def test_it_agrees_with_the_naive_one():
    assert_same_victims("arc", Arc)


def test_a_scan_passes_by_what_was_used_again():
    policy = Arc(4)
    for key in (1, 2, 1, 2):
        use(policy, key)
    for key in range(100, 200):
        use(policy, key)
    assert 1 in policy
    assert 2 in policy


def test_a_ghost_that_comes_back_counts_as_used_again_and_makes_room_for_its_kind():
    policy = Arc(4)
    for key in (1, 2, 3, 3, 4, 4):  # 1 and 2 once, 3 and 4 again
        use(policy, key)
    assert use(policy, 5) == 1
    assert (
        use(policy, 1) == 2
    )  # the ghost of 1 is there, and the target moves to one block used once
    assert use(policy, 6) == 3  # one block was used once: no more than the target
    policy.check()


def test_ghosts_are_bounded():
    policy = Arc(5)
    for key in range(1000):
        use(policy, key % 11 if key % 2 else key)
        policy.check()
