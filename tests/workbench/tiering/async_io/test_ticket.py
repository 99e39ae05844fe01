"""A ticket ends once every request has its completion, and can be waited for in part."""

import threading

from tests.workbench.tiering.async_io.watched import read
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import Completion, DeadlineError, StorageError
from workbench.tiering.async_io.ticket import DroppedError, Priority, Ticket


def ticket_of(n, **options):
    batch = [read(1, page, aligned_buffer(4096)) for page in range(n)]
    return Ticket(batch, Priority.PREFETCH, 5.0, lambda ticket: len(ticket.requests), **options)


def test_priorities_are_in_order_and_have_names():
    assert sorted(Priority) == [Priority.DEMAND, Priority.PREFETCH, Priority.WRITE_BACK]
    assert Priority.WRITE_BACK.word == "write-back"


def test_what_is_not_over_is_late_and_comes_later():
    ticket = ticket_of(2)
    ticket.settle([(1, Completion(ticket.requests[1], 7, None))])
    first, second = ticket.wait(0.0)
    assert isinstance(first.error, DeadlineError)
    assert "prefetch read at 0" in str(first.error)
    assert second == Completion(ticket.requests[1], 7, None)
    assert not ticket.done
    ticket.settle([(0, Completion(ticket.requests[0], 9, StorageError("broken")))])
    assert ticket.done
    assert [done.took_ns for done in ticket.wait(0.0)] == [9, 7]


def test_waiting_ends_with_the_last_completion():
    ticket = ticket_of(1)
    outcome = [(0, Completion(ticket.requests[0], 1, None))]
    timer = threading.Timer(0.01, ticket.settle, [outcome])
    timer.start()
    (done,) = ticket.wait(20.0)
    assert done.error is None
    timer.join()


def test_nothing_is_over_at_once():
    assert ticket_of(0).done
    assert ticket_of(0).wait() == []


def test_whoever_asked_to_is_told_first():
    heard = []
    ticket = ticket_of(1, settled=heard.append)
    outcome = [(0, Completion(ticket.requests[0], 1, DroppedError("full")))]
    ticket.settle(outcome)
    assert heard == [outcome]
    assert ticket.cancel() == 1
