"""Slices keep the order, stay small, and hold nothing that must not travel together."""

import pytest

from tests.workbench.tiering.async_io.watched import read, write
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import PAGE_BYTES, Completion, DeadlineError, Request
from workbench.tiering.async_io.request_queue import RequestQueue
from workbench.tiering.async_io.ticket import Priority, Ticket

PAGE = aligned_buffer(PAGE_BYTES)


def put(queue, batch, deadline_s=10.0, priority=Priority.WRITE_BACK):
    ticket = Ticket(batch, priority, deadline_s, lambda ticket: 0)
    queue.put(ticket)
    return ticket


def cut_all(queue, most_requests=8, most_bytes=1 << 20):
    slices = []
    while queue.n_requests:
        slices.append(queue.cut(most_requests, most_bytes, 0).requests)
    return slices


def test_slices_keep_the_order_across_tickets():
    queue = RequestQueue(100)
    batches = [[read(1, page, PAGE) for page in pages] for pages in ([5, 1], [3], [2, 9, 4])]
    for batch in batches:
        put(queue, batch)
    slices = cut_all(queue, most_requests=4)
    assert [len(one) for one in slices] == [4, 2]
    assert [*slices[0], *slices[1]] == [*batches[0], *batches[1], *batches[2]]


def test_bytes_bound_a_slice_but_never_stop_it():
    queue = RequestQueue(100)
    put(queue, [write(1, 10 * at, 1, n_pages) for at, n_pages in enumerate([8, 1, 1, 3])])
    assert [len(one) for one in cut_all(queue, most_bytes=4 * PAGE_BYTES)] == [1, 2, 1]


@pytest.mark.parametrize(
    ("batch", "lengths"),
    [
        ([write(1, 0, 1), write(1, 1, 2), write(1, 0, 3)], [2, 1]),
        ([write(1, 0, 1), write(2, 0, 2)], [2]),
        ([write(1, 0, 1, 3), write(1, 2, 2)], [1, 1]),
        ([write(1, 0, 1), read(1, 5, PAGE), write(1, 7, 1)], [1, 1, 1]),
        ([write(1, 0, 1), Request("sync", 1), Request("sync", 1), write(1, 2, 2)], [1, 1, 1, 1]),
        ([read(1, 0, PAGE), read(1, 0, PAGE)], [2]),
    ],
)
def test_what_must_not_travel_together_does_not(batch, lengths):
    queue = RequestQueue(100)
    put(queue, batch)
    assert [len(one) for one in cut_all(queue)] == lengths


def test_priorities_and_far_deadlines_travel_apart():
    queue = RequestQueue(100)
    put(queue, [read(1, 0, PAGE)], deadline_s=10.0)
    put(queue, [read(1, 1, PAGE)], deadline_s=10.1)
    put(queue, [read(1, 2, PAGE)], deadline_s=10.1, priority=Priority.DEMAND)
    put(queue, [read(1, 3, PAGE)], deadline_s=100.0, priority=Priority.DEMAND)
    now_ns = queue._tickets[0].queued_ns
    lengths = [len(queue.cut(8, 1 << 20, now_ns).requests) for _ in range(3)]
    assert (lengths, queue.n_requests) == ([2, 1, 1], 0)


def test_room_is_counted_in_requests():
    queue = RequestQueue(3)
    assert queue.has_room(7)  # an empty queue takes any batch
    ticket = put(queue, [read(1, page, PAGE) for page in range(2)])
    assert queue.has_room(1)
    assert not queue.has_room(2)
    queue.cut(1, 1 << 20, 0)
    assert queue.has_room(2)
    assert queue.withdraw(ticket) == [1]
    assert queue.withdraw(ticket) == []
    assert queue.n_requests == 0


def test_late_tickets_leave_with_what_they_have_left():
    queue = RequestQueue(10)
    late = put(queue, [read(1, page, PAGE) for page in range(3)], deadline_s=1.0)
    fresh = put(queue, [read(1, 9, PAGE)], deadline_s=100.0)
    queue.cut(1, 1 << 20, 0)
    ((ticket, outcomes),) = queue.expire(late.end_ns)
    assert ticket is late
    assert [place for place, _ in outcomes] == [1, 2]
    assert all(isinstance(done.error, DeadlineError) for _, done in outcomes)
    assert queue.clear() == [(fresh, [0])]
    assert queue.clear() == []


def test_waiting_counts_from_the_last_service():
    queue = RequestQueue(10)
    assert queue.waited_ns(10) == 0
    ticket = put(queue, [read(1, page, PAGE) for page in range(2)])
    assert queue.waited_ns(ticket.queued_ns + 50) == 50
    queue.cut(1, 1 << 20, ticket.queued_ns + 60)
    assert queue.waited_ns(ticket.queued_ns + 100) == 40


def test_outcomes_find_their_tickets():
    queue = RequestQueue(10)
    first = put(queue, [read(1, 0, PAGE)])
    second = put(queue, [read(1, 1, PAGE), read(1, 2, PAGE)])
    work = queue.cut(8, 1 << 20, 0)
    done = [Completion(request, at, None) for at, request in enumerate(work.requests)]
    assert work.outcomes(done) == [(first, [(0, done[0])]), (second, [(0, done[1]), (1, done[2])])]
    assert work.end_ns == first.end_ns
