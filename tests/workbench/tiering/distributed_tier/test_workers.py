"""The threads that carry flights out."""

import random
import threading

import pytest

from tests.network.tiers import patient
from workbench.tiering.async_io.clock import RealClock
from workbench.tiering.distributed_tier.address import Endpoint
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.flights import Flight, Flights, Waiter
from workbench.tiering.distributed_tier.link import Opening
from workbench.tiering.distributed_tier.miss import Miss, MissError
from workbench.tiering.distributed_tier.node import Node
from workbench.tiering.distributed_tier.ready_links import ReadyLinks
from workbench.tiering.distributed_tier.workers import Workers
from workbench.tiering.ssd_tier.buffer_pool import BufferPool

CONFIG = patient("valkey://127.0.0.1:1", connections=2)


@pytest.fixture
def flights():
    return Flights()


@pytest.fixture
def workers(flights):
    opening = Opening(CONFIG, None, Counters(), BufferPool(1 << 20), 1.0, 1.0)
    some = Workers(opening, flights, ReadyLinks(2))
    yield some
    some.close(5.0)


@pytest.fixture
def node():
    return Node(Endpoint("h", 1), CONFIG, Counters(), RealClock(), random.Random(1))


def outcomes(workers, flights, node, *works):
    waiter = Waiter()
    several = [flights.join(waiter, Flight(node, work))[0] for work in works]
    workers.submit(several)
    waiter.wait(20.0, 20.0)
    return [flights.leave(waiter, one) for one in several]


def raising(error):
    def work(link):
        raise error

    return work


def test_each_flight_ends_with_its_block_or_its_reason(workers, flights, node):
    found = outcomes(
        workers,
        flights,
        node,
        lambda link: str(link.endpoint),
        raising(MissError(Miss.ABSENT)),
        raising(MemoryError()),
    )
    assert found == ["h:1", Miss.ABSENT, Miss.DENIED]


def test_two_run_at_once(workers, flights, node):
    meet = threading.Barrier(2, timeout=20)
    assert sorted(outcomes(workers, flights, node, *[lambda link: meet.wait()] * 2)) == [0, 1]


def test_a_flight_that_was_given_up_is_not_carried_out(workers, flights, node):
    hold = threading.Event()
    ran = []
    busy = [Flight(node, lambda link: hold.wait(20)) for _ in range(2)]
    waiter, other = Waiter(), Waiter()
    for one in busy:
        flights.join(waiter, one)
    unwanted = flights.join(other, Flight(node, lambda link: ran.append(1)))[0]
    workers.submit([*busy, unwanted])
    flights.leave(other, unwanted)
    hold.set()
    assert outcomes(workers, flights, node, lambda link: "next") == ["next"]
    assert ran == []


def test_after_closing_everything_is_refused(workers, flights, node):
    workers.close(5.0)
    assert outcomes(workers, flights, node, lambda link: 1) == [Miss.REFUSED]
