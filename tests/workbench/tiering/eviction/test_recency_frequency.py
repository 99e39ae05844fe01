"""Twice the uses make up for one half-life of age."""

from tests.contracts.policy_contract import PolicyContract, use
from tests.workbench.tiering.eviction.agreement import assert_same_victims
from workbench.tiering.eviction.recency_frequency import RecencyFrequency


class TestRecencyFrequency(PolicyContract):
    def make(self, capacity_blocks):
        return RecencyFrequency(capacity_blocks)


def test_it_agrees_with_the_naive_one():
    assert_same_victims("recency_frequency", RecencyFrequency)


def test_twice_the_uses_are_worth_one_half_life():
    for age, victim in ((11, 2), (12, 1)):
        policy = RecencyFrequency(100, half_life_uses=10)
        use(policy, 1)
        use(policy, 1)  # its score: 2 + 10
        for filler in range(3, age + 1):
            use(policy, filler)
            policy.remove(filler)
        use(policy, 2)  # its score: age + 1, not above 12 only if age is 11
        policy.check()
        assert policy.evict(lambda key: key not in (1, 2)) == victim, age


def test_the_half_life_is_the_capacity_unless_told_otherwise():
    policy = RecencyFrequency(2)
    victims = [use(policy, key) for key in (1, 1, 2, 3, 4, 5)]
    assert victims == [None, None, None, 2, 3, 1]


def test_uses_beyond_the_most_do_not_count():
    policy = RecencyFrequency(2, half_life_uses=1000)
    for key in [1] * 500 + [2] * 16:
        use(policy, key)
    assert policy.evict() == 1
