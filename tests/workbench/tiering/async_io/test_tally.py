"""Counters add up whichever way they were counted, and from however many threads."""

import threading

from workbench.tiering.async_io.engine import Completion, DeadlineError, Request, StorageError
from workbench.tiering.async_io.tally import Tally

BLOCK = memoryview(bytearray(8))


def test_completions_are_sorted_by_what_they_were():
    tally = Tally()
    read, write, sync = (Request(op, 1, 0, BLOCK) for op in ("read", "write", "sync"))
    outcomes = [(read, None), (write, None), (sync, None), (read, DeadlineError("late"))]
    outcomes.append((write, StorageError("broken")))
    tally.count([Completion(request, 1, error) for request, error in outcomes], short_transfers=3)
    tally.add({"stale_completions": 2})
    stats = tally.stats("test", True, "because", pinned=4)
    assert (stats.reads, stats.writes, stats.syncs, stats.errors, stats.submitted) == (
        1,
        1,
        1,
        2,
        5,
    )
    assert (stats.read_bytes, stats.written_bytes) == (8, 8)
    assert (stats.deadlines_missed, stats.short_transfers, stats.stale_completions) == (1, 3, 2)
    assert (stats.kind, stats.direct, stats.fallback_reason) == ("test", True, "because")
    assert stats.pinned_buffers == 4


def test_whole_batches_can_be_counted_at_once():
    tally = Tally()
    tally.add({"reads": 3, "read_bytes": 300, "writes": 2, "written_bytes": 20})
    tally.add({"errors": 4, "deadlines_missed": 1, "short_transfers": 5})
    stats = tally.stats("test", False, "")
    assert (stats.reads, stats.read_bytes, stats.writes, stats.written_bytes) == (3, 300, 2, 20)
    assert (stats.errors, stats.deadlines_missed, stats.short_transfers) == (4, 1, 5)
    assert stats.submitted == 9


def test_nothing_is_lost_between_threads():
    tally = Tally()
    done = [Completion(Request("read", 1, 0, BLOCK), 1, None)]
    threads = [
        threading.Thread(target=lambda: [tally.count(done) for _ in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.stats("test", True, "").read_bytes == 8 * 500 * 8
