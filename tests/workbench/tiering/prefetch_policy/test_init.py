"""Every prefetch policy is found by name and keeps to what every one promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import UsageError
from workbench.tiering import prefetch_policy

KEYS = st.lists(st.integers(0, 30), max_size=12, unique=True)


@pytest.mark.parametrize("name", prefetch_policy.PREFETCH_POLICIES)
@given(current=KEYS, position=st.integers(-1, 12), waiting=st.lists(KEYS, max_size=4))
def test_only_blocks_that_are_still_to_come_are_wanted_each_once(name, current, position, waiting):
    policy = prefetch_policy.create(name)
    assert policy.name == name
    wanted = policy.want(current, position, waiting)
    ahead = {*current[position + 1 :], *(key for prefix in waiting for key in prefix)}
    assert len(wanted) == len(set(wanted))
    assert set(wanted) <= ahead


@pytest.mark.parametrize("name", prefetch_policy.PREFETCH_POLICIES)
def test_nothing_to_come_means_nothing_wanted(name):
    assert prefetch_policy.create(name).want([], -1, []) == []
    assert prefetch_policy.create(name).want([b"a"], 0, [[]]) == []


def test_an_unknown_name_is_refused_with_what_was_meant():
    with pytest.raises(UsageError, match="did you mean predicted"):
        prefetch_policy.create("prediction")
