"""Flights are shared, given up, and never delivered late."""

import threading
import time

from tests.network.tiers import SLACK_S, key
from workbench.tiering.distributed_tier.flights import Flight, Flights, Waiter
from workbench.tiering.distributed_tier.miss import Miss


def flight(number=1):
    return Flight(None, None, key(number))


def test_who_wants_the_same_block_shares_its_flight():
    flights, waiters = Flights(), [Waiter() for _ in range(3)]
    joined = [flights.join(waiter, flight()) for waiter in waiters]
    assert [is_new for _, is_new in joined] == [True, False, False]
    assert len({id(one) for one, _ in joined}) == 1
    flights.end(joined[0][0], "block")
    for waiter in waiters:
        waiter.wait(5.0, 5.0)
    assert [flights.leave(w, joined[0][0]) for w in waiters] == ["block"] * 3
    assert len(flights) == 0
    assert flights.join(Waiter(), flight())[1]


def test_what_has_no_key_is_never_shared():
    flights, waiter = Flights(), Waiter()
    assert flights.join(waiter, Flight(None, None))[1]
    assert flights.join(waiter, Flight(None, None))[1]


def test_who_leaves_early_gets_nothing_even_if_it_comes():
    flights, waiter = Flights(), Waiter()
    one, _ = flights.join(waiter, flight())
    assert flights.leave(waiter, one) is Miss.LATE
    assert not flights.is_wanted(one)
    flights.end(one, "too late")
    assert len(flights) == 0


def test_a_flight_that_nobody_waits_for_is_called_off_and_the_next_is_new():
    flights, waiter = Flights(), Waiter()
    one, _ = flights.join(waiter, flight())
    assert flights.is_wanted(one)
    flights.leave(waiter, one)
    assert not flights.is_wanted(one)
    assert flights.join(Waiter(), flight())[1]


def test_waiting_ends_by_the_budget():
    flights, waiter = Flights(), Waiter()
    flights.join(waiter, flight())
    started = time.monotonic()
    waiter.wait(0.05, 60.0)
    assert time.monotonic() - started < 0.05 + SLACK_S


def test_waiting_ends_when_nothing_comes_and_goes_on_while_something_does():
    flights, waiter = Flights(), Waiter()
    several = [flights.join(waiter, flight(number))[0] for number in range(5)]

    def bring():
        for one in several[:4]:
            time.sleep(0.2)
            flights.end(one, "block")

    thread = threading.Thread(target=bring)
    thread.start()
    started = time.monotonic()
    waiter.wait(None, 0.5)
    took = time.monotonic() - started
    thread.join()
    outcomes = [flights.leave(waiter, one) for one in several]
    assert outcomes == ["block"] * 4 + [Miss.LATE]
    assert took < 4 * 0.2 + 0.5 + 2 * SLACK_S
