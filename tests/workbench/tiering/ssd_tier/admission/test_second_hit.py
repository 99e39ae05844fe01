"""A block is admitted when it is offered again within memory; memory is bounded."""

import random
from dataclasses import replace

import pytest

from tests.torture.stores import SMALL, open_small
from tests.workbench.tiering.ssd_tier.bare_cores import new_disk
from workbench.errors import UsageError
from workbench.tiering.ssd_tier.admission.second_hit import SecondHit


def keys(n: int, seed: int = 1) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(32) for _ in range(n)]


def test_the_first_offer_is_refused_and_every_later_one_admitted():
    policy = SecondHit()
    (key,) = keys(1)
    assert [policy.admits(key, 10) for _ in range(4)] == [False, True, True, True]


def test_keys_do_not_speak_for_each_other():
    policy = SecondHit()
    assert [policy.admits(key, 10) for key in keys(1000)] == [False] * 1000
    assert [policy.admits(key, 10) for key in keys(1000)] == [True] * 1000


def test_size_does_not_matter():
    policy = SecondHit()
    (key,) = keys(1)
    policy.admits(key, 1)
    assert policy.admits(key, 1 << 40)


@pytest.mark.parametrize("memory", [1, 2, 7])
def test_the_last_memory_keys_are_remembered_and_none_older_than_twice_as_many(memory):
    for before in range(2 * memory + 1):
        for since in range(3 * memory):
            policy = SecondHit(memory)
            key, *others = keys(1 + before + since)
            for other in others[:before]:
                policy.admits(other, 10)
            assert not policy.admits(key, 10)
            for other in others[before:]:
                policy.admits(other, 10)
            remembered = policy.admits(key, 10)
            if since < memory:
                assert remembered, (before, since)
            if since >= 2 * memory:
                assert not remembered, (before, since)


def test_what_was_forgotten_needs_two_offers_again():
    policy = SecondHit(4)
    first, *rest = keys(20)
    policy.admits(first, 10)
    for key in rest:
        policy.admits(key, 10)
    assert [policy.admits(first, 10), policy.admits(first, 10)] == [False, True]


@pytest.mark.parametrize("memory", [0, -1])
def test_no_memory_is_refused_with_the_fix(memory):
    with pytest.raises(UsageError, match=f"memory_keys={memory} .* give at least 1"):
        SecondHit(memory)


def test_a_store_with_it_writes_the_second_offer_and_counts_the_first():
    disk = new_disk()
    config = replace(SMALL, admission=SecondHit)
    (key,) = keys(1)
    with open_small(disk, disk, config) as tier:
        assert not tier.put(key, b"value")
        assert tier.get(key) is None
        assert tier.put(key, b"value")
        assert tier.get(key) == b"value"
        counts = tier.stats().counts
    assert (counts.puts, counts.puts_not_admitted, counts.puts_written) == (2, 1, 1)
