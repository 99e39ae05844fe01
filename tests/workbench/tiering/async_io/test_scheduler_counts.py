"""Counts: every request comes once and ends once, and the sums agree."""

import numpy as np

from workbench.tiering.async_io.engine import Completion, Request, StorageError
from workbench.tiering.async_io.merge import Moved
from workbench.tiering.async_io.scheduler_counts import SchedulerCounts
from workbench.tiering.async_io.ticket import Priority


def moved(*errors, transfers, retried=0):
    requests = [Request("read", 0, 0, np.zeros(10, np.uint8).data) for _ in errors]
    done = [Completion(one, 5, error) for one, error in zip(requests, errors, strict=True)]
    return Moved(done, transfers, retried)


def agree(stats):
    ended = stats.done + stats.failed
    assert stats.requests == ended + stats.dropped + stats.waiting
    assert ended == stats.cached + stats.transfers - stats.retried + stats.merged


def test_what_came_has_ended_in_one_way_each():
    counts, bad = SchedulerCounts(), StorageError("no")
    counts.straight(3)
    counts.moved(Priority.DEMAND, moved(None, bad, None, transfers=2))
    counts.ordered(1)
    counts.failed(Priority.DEMAND, 1)
    counts.cached(2, 70)
    counts.queued(Priority.PREFETCH, 4)
    counts.dropped(Priority.PREFETCH, 1)
    counts.waited(Priority.PREFETCH, 30)
    counts.moved(Priority.PREFETCH, moved(None, None, transfers=3, retried=1))
    stats = counts.stats()
    demand, prefetch = stats.classes[Priority.DEMAND], stats.classes[Priority.PREFETCH]
    assert (stats.straight, stats.ordered) == (1, 1)
    assert (demand.requests, demand.done, demand.failed, demand.bytes) == (6, 4, 2, 90)
    assert (prefetch.dropped, prefetch.waiting, prefetch.waited_ns) == (1, 1, 30)
    for one in stats.classes.values():
        agree(one)


def test_what_was_told_does_not_change_later():
    counts = SchedulerCounts()
    before = counts.stats()
    counts.straight(1)
    assert before.classes[Priority.DEMAND].requests == 0
