"""The breaker, on a clock and dice of the test's own."""

import random

from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.distributed_tier import NetworkTierConfig
from workbench.tiering.distributed_tier.breaker import Breaker

CONFIG = NetworkTierConfig("valkey://h", breaker_failures=3, breaker_wasted_s=0.1)


def breaker(seed=1):
    clock = VirtualClock()
    return Breaker(CONFIG, clock, random.Random(seed)), clock


def test_it_opens_after_three_quick_failures():
    one, _ = breaker()
    assert [one.failed(0.001, "reset") for _ in range(4)] == [False, False, True, False]
    assert (one.is_open, one.opened, one.reason) == (True, 1, "reset")


def test_it_opens_once_they_wasted_100_ms():
    one, _ = breaker()
    assert not one.failed(0.06, "late")
    assert one.failed(0.06, "late")


def test_an_answer_in_between_begins_the_count_anew():
    one, _ = breaker()
    for _ in range(10):
        one.failed(0.04, "late")
        one.failed(0.04, "late")
        one.succeeded()
    assert not one.is_open


def test_an_answer_that_began_before_does_not_close_it():
    one, _ = breaker()
    one.open("down")
    one.succeeded()
    assert one.is_open
    one.probed()
    assert not one.is_open
    assert one.reason == ""


def test_one_probe_an_interval_with_jitter():
    one, clock = breaker()
    assert not one.take_probe()
    one.open("down")
    assert not one.take_probe()
    waits = []
    for _ in range(50):
        waited = 0.0
        while not one.take_probe():
            clock.sleep(0.01)
            waited += 0.01
        assert not one.take_probe()
        waits.append(waited)
    assert 0.75 <= min(waits) < max(waits) <= 1.01
    assert max(waits) - min(waits) > 0.1


def test_the_same_dice_give_the_same_probes():
    def first_probe(seed):
        one, clock = breaker(seed)
        one.open("down")
        steps = 0
        while not one.take_probe():
            clock.sleep(0.001)
            steps += 1
        return steps

    assert first_probe(7) == first_probe(7)
    assert first_probe(7) != first_probe(8)


def test_a_hurried_caller_counts_by_its_time_alone():
    one, _ = breaker()
    for _ in range(9):
        assert not one.failed(0.01, "budget", n_failures=0)
    assert one.failed(0.02, "budget", n_failures=0)


def test_an_answer_forgives_lost_time_too():
    one, _ = breaker()
    for _ in range(50):
        one.failed(0.06, "budget", n_failures=0)
        one.succeeded()
    assert not one.is_open
