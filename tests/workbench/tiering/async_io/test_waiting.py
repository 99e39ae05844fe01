"""Whose turn it is among what waits: writes before what follows them, the starved before all."""

from __future__ import annotations

import pytest

from workbench.tiering.async_io.engine import Request
from workbench.tiering.async_io.ticket import Priority, Ticket
from workbench.tiering.async_io.waiting import Limits, Pressing, Waiting

PAGE = 4096
LIMITS = Limits(prefetch_requests=2, write_back_requests=4, patience_s=0.1)


def request(op: str, page: int) -> Request:
    return Request(op, 1, page * PAGE, memoryview(bytearray(PAGE)))  # type: ignore[arg-type]


def ticket(priority: Priority, *requests: Request) -> Ticket:
    return Ticket(requests, priority, 10.0, lambda _: 0)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting(LIMITS)


def put(waiting: Waiting, priority: Priority, *requests: Request) -> Ticket:
    one = ticket(priority, *requests)
    waiting.put(waiting.queue_for(one), one)
    return one


def test_each_priority_has_its_queue(waiting: Waiting) -> None:
    put(waiting, Priority.PREFETCH, request("read", 0))
    put(waiting, Priority.WRITE_BACK, request("write", 9), request("write", 10))
    assert (waiting.prefetches.n_requests, waiting.write_backs.n_requests) == (1, 2)
    assert waiting.n_requests == 3


def test_a_prefetch_of_bytes_that_are_still_to_be_written_waits_behind_the_write(
    waiting: Waiting,
) -> None:
    put(waiting, Priority.WRITE_BACK, request("write", 9))
    assert waiting.follows_write([request("read", 8), request("read", 9)])
    assert not waiting.follows_write([request("read", 8)])
    behind = ticket(Priority.PREFETCH, request("read", 9))
    assert waiting.queue_for(behind) is waiting.write_backs


def test_a_full_queue_refuses_a_prefetch_and_names_the_limit(waiting: Waiting) -> None:
    put(waiting, Priority.PREFETCH, request("read", 0), request("read", 1))
    third = ticket(Priority.PREFETCH, request("read", 2))
    assert "limit 2 requests" in waiting.refusal(waiting.prefetches, third)
    assert waiting.refusal(waiting.write_backs, third) == ""


def test_prefetch_goes_before_write_back_and_demand_before_both(waiting: Waiting) -> None:
    assert waiting.turn(0, Pressing(), closed=False) is None
    assert waiting.pause_s() is None
    written = put(waiting, Priority.WRITE_BACK, request("write", 9))
    now = written.queued_ns
    assert waiting.turn(now, Pressing(), closed=False) is waiting.write_backs
    put(waiting, Priority.PREFETCH, request("read", 0))
    assert waiting.turn(now, Pressing(), closed=False) is waiting.prefetches
    assert waiting.turn(now, Pressing(demand=1), closed=False) is None
    assert waiting.turn(now, Pressing(demand=1), closed=True) is waiting.prefetches
    assert waiting.pause_s() == LIMITS.patience_s


def test_what_somebody_waits_for_goes_beside_demand(waiting: Waiting) -> None:
    now = put(waiting, Priority.WRITE_BACK, request("write", 9)).queued_ns
    put(waiting, Priority.PREFETCH, request("read", 0))
    pressed = Pressing(demand=1, urgent=1, hurried=1)
    assert waiting.turn(now, pressed, closed=False) is waiting.write_backs
    hurried = Pressing(demand=1, hurried=1)
    assert waiting.turn(now, hurried, closed=False) is waiting.prefetches


def test_the_longest_starved_goes_on_beside_demand(waiting: Waiting) -> None:
    now = put(waiting, Priority.WRITE_BACK, request("write", 9)).queued_ns
    put(waiting, Priority.PREFETCH, request("read", 0))
    later = now + int(LIMITS.patience_s * 1e9) + 1_000_000_000
    assert waiting.turn(later, Pressing(demand=1), closed=False) is waiting.write_backs


def test_withdrawn_and_late_requests_leave_their_queue(waiting: Waiting) -> None:
    first = put(waiting, Priority.PREFETCH, request("read", 0))
    second = put(waiting, Priority.WRITE_BACK, request("write", 9), request("write", 10))
    assert waiting.withdraw(first) == [0]
    assert waiting.withdraw(first) == []
    assert waiting.expire(second.end_ns - 1) == []
    ((late, ended),) = waiting.expire(second.end_ns)
    assert late is second
    assert [number for number, _ in ended] == [0, 1]
    assert waiting.n_requests == 0
