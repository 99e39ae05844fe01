"""Places are handed out by urgency, then by arrival, and never more than there are."""

import threading

import pytest

from tests.workbench.tiering.async_io.rings import wait_for
from workbench.tiering.async_io.clock import RealClock
from workbench.tiering.async_io.priority_gate import Priority, PriorityGate

CLOCK = RealClock()


def soon(seconds: float = 60.0) -> int:
    return CLOCK.now_ns() + int(seconds * 1e9)


@pytest.fixture
def gate():
    return PriorityGate(4, CLOCK)


def test_places_come_back(gate):
    assert gate.enter(3, Priority.DEMAND, soon()) == 3
    assert gate.n_used == 3
    assert gate.enter(2, Priority.DEMAND, soon(0.01)) == 0
    assert gate.enter(1, Priority.WRITE_BACK, soon()) == 1
    gate.leave(4)
    assert gate.n_used == 0


def test_more_than_all_is_all(gate):
    assert gate.enter(100, Priority.PREFETCH, soon()) == 4
    gate.leave(4)


def test_the_urgent_overtake_and_equals_keep_their_order(gate):
    gate.enter(4, Priority.DEMAND, soon())
    order, threads = [], []

    def wait(name: str, priority: Priority) -> None:
        places = gate.enter(4, priority, soon())
        order.append(name)
        gate.leave(places)

    arrivals = [
        ("write 1", Priority.WRITE_BACK),
        ("ahead 1", Priority.PREFETCH),
        ("write 2", Priority.WRITE_BACK),
        ("read 1", Priority.DEMAND),
        ("ahead 2", Priority.PREFETCH),
        ("read 2", Priority.DEMAND),
    ]
    for n, arrival in enumerate(arrivals, start=1):
        threads.append(threading.Thread(target=wait, args=arrival))
        threads[-1].start()
        wait_for(lambda n=n: len(gate._waiting) == n)
    gate.leave(4)
    for thread in threads:
        thread.join()
    assert order == ["read 1", "read 2", "ahead 1", "ahead 2", "write 1", "write 2"]


def test_one_that_gives_up_lets_the_others_go_on(gate):
    gate.enter(2, Priority.DEMAND, soon())
    got = []
    big = threading.Thread(target=lambda: got.append(gate.enter(4, Priority.DEMAND, soon(0.1))))
    big.start()
    wait_for(lambda: len(gate._waiting) == 1)
    # Two places are free, but a more urgent one waits for four.
    assert gate.enter(1, Priority.PREFETCH, soon()) == 1
    big.join()
    assert got == [0]


def test_never_more_than_the_depth_are_inside(gate):
    inside, most, lock = [0], [0], threading.Lock()

    def work(number: int) -> None:
        for _ in range(50):
            places = gate.enter(1 + number % 4, Priority(number % 3), soon())
            with lock:
                inside[0] += places
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= places
            gate.leave(places)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 4
    assert gate.n_used == 0
