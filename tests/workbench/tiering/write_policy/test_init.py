"""Every write policy is found by name; what each writes over a block's life is its definition."""

import pytest

from workbench.errors import UsageError
from workbench.tiering import write_policy

KEY = bytes(32)


@pytest.mark.parametrize("name", write_policy.WRITE_POLICIES)
def test_a_policy_is_made_by_its_own_name(name):
    policy = write_policy.create(name)
    assert policy.name == name
    assert [type(policy.on_seal(KEY, 1)), type(policy.on_demote(KEY, 1))] == [bool, bool]


def test_an_unknown_name_is_refused_with_what_was_meant():
    with pytest.raises(UsageError, match="did you mean write_through"):
        write_policy.create("writethrough")


# uses before it leaves memory -> (written at once, written at the latest when leaving)
LIVES = {
    "write_through": {1: (True, True), 2: (True, True), 9: (True, True)},
    "write_back": {1: (False, True), 2: (False, True), 9: (False, True)},
    "selective": {1: (False, False), 2: (False, True), 9: (False, True)},
}


@pytest.mark.parametrize("name", write_policy.WRITE_POLICIES)
def test_when_a_block_is_written(name):
    for uses, expected in LIVES[name].items():
        policy = write_policy.create(name)
        at_once = policy.on_seal(KEY, 1)
        kept = at_once or policy.on_demote(KEY, uses)
        assert (at_once, kept) == expected, (name, uses)
