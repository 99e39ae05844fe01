"""Every policy is found by name; those that libCacheSim has hit as often as its."""

import pytest

from tests.workbench.tiering.eviction.libcachesim import LIBCACHESIM, object_hits
from tests.workbench.tiering.eviction.naive import NAIVE
from workbench.errors import UsageError
from workbench.tiering import eviction


@pytest.mark.parametrize("name", eviction.POLICIES)
def test_a_policy_is_made_by_its_own_name(name):
    policy = eviction.create(name, 7)
    assert (policy.name, policy.capacity_blocks, len(policy)) == (name, 7, 0)


def test_an_unknown_name_is_refused_with_what_was_meant():
    with pytest.raises(UsageError, match=r"unknown eviction policy 's3fifo'; did you mean s3_fifo"):
        eviction.create("s3fifo", 7)


def test_every_policy_has_its_naive_version():
    assert list(NAIVE) == list(eviction.POLICIES)


@pytest.mark.parametrize("name", ["fifo", "lru", "lfu"])
def test_it_hits_exactly_as_often_as_libcachesims(name, conversation):
    for capacity, expected in LIBCACHESIM[name].items():
        assert object_hits(eviction.create(name, capacity), conversation) == expected


def test_arc_hits_as_often_as_libcachesims_but_for_its_one_step(conversation):
    for capacity, expected in LIBCACHESIM["arc"].items():
        hits = object_hits(eviction.create("arc", capacity), conversation)
        assert abs(hits - expected) <= 1, capacity
