"""What policies share: choosing the first that is not pinned, and refusing with the reason."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.eviction import create
from workbench.tiering.eviction.policy import (
    first_unpinned,
    never,
    refuse_insert,
    require_capacity,
)


def test_the_first_that_is_not_pinned_is_found():
    assert first_unpinned([3, 1, 2], never) == 3
    assert first_unpinned([3, 1, 2], {3, 1}.__contains__) == 2
    assert first_unpinned([3, 1], {3, 1}.__contains__) is None
    assert first_unpinned([], never) is None


def test_a_capacity_of_at_least_one_is_given_back():
    assert require_capacity("any", 1) == 1
    with pytest.raises(UsageError, match=r"policy any: capacity_blocks=0 holds nothing; give at"):
        require_capacity("any", 0)


def test_the_reason_for_refusing_is_the_one_that_holds():
    policy = create("lru", 2)
    policy.insert(b"held")
    with pytest.raises(ValueError, match=r"lru: block b'held' is held already"):
        refuse_insert(policy, b"held")
    with pytest.raises(ValueError, match=r"lru: all 2 blocks are held; evict one first"):
        refuse_insert(policy, b"new")
