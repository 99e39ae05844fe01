"""Every write policy is found by name; what each writes over a block's life is its definition."""

import pytest

from workbench.errors import UsageError
from workbench.tiering import write_policy


@pytest.mark.parametrize("name", write_policy.WRITE_POLICIES)
def test_a_policy_is_made_by_its_own_name(name):
    policy = write_policy.create(name)
    assert policy.name == name
    assert [type(policy.on_use(1)), type(policy.on_demote(1))] == [bool, bool]


def test_an_unknown_name_is_refused_with_what_was_meant():
    with pytest.raises(UsageError, match="did you mean write_through"):
        write_policy.create("writethrough")


# (uses before it leaves memory) -> (writes while in memory, written at the latest when leaving)
LIVES = {
    "write_through": {1: (True, True), 2: (True, True), 9: (True, True)},
    "write_back": {1: (False, True), 2: (False, True), 9: (False, True)},
    "selective": {1: (False, False), 2: (True, True), 9: (True, True)},
}


@pytest.mark.parametrize("name", write_policy.WRITE_POLICIES)
def test_when_a_block_is_written(name):
    for uses, expected in LIVES[name].items():
        policy = write_policy.create(name)
        while_in_memory = any([policy.on_use(use) for use in range(1, uses + 1)])
        kept = while_in_memory or policy.on_demote(uses)
        assert (while_in_memory, kept) == expected, (name, uses)
