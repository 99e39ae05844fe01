"""A block is admitted the second time; memory is bounded by two generations."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.ssd_tier.admission.second_hit import SecondHit


def key(number: int) -> bytes:
    return number.to_bytes(8, "big") * 4


def test_the_second_offer_is_admitted() -> None:
    policy = SecondHit()
    assert [policy.admits(key(1), 10) for _ in range(3)] == [False, True, True]


def test_what_was_offered_long_ago_is_forgotten() -> None:
    policy = SecondHit(memory_keys=4)
    assert not policy.admits(key(0), 1)
    for number in range(1, 9):
        policy.admits(key(number), 1)
    assert not policy.admits(key(0), 1)


def test_the_generation_before_is_remembered() -> None:
    policy = SecondHit(memory_keys=4)
    for number in range(6):
        policy.admits(key(number), 1)
    assert policy.admits(key(0), 1)


def test_no_memory_is_refused() -> None:
    with pytest.raises(UsageError, match="memory_keys=0"):
        SecondHit(0)
