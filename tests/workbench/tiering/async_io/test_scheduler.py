"""Demand goes first, order is kept where it matters, queues are bounded, nothing is lost unsaid."""

import os
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.tiering.async_io.watched import (
    Watched,
    disk_with,
    read,
    request_end,
    separate_pages,
    write,
)
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.fault_io import FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.read_ahead import ReadAhead
from workbench.tiering.async_io.scheduler import Scheduler
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.async_io.threads import ThreadEngine
from workbench.tiering.async_io.ticket import DroppedError, Priority
from workbench.tiering.async_io.waiting import Limits

N_PAGES = 128
DEMAND, PREFETCH, WRITE_BACK = Priority


class Rig:
    def __init__(self, depth=4, **options):
        self.disk, self.content = disk_with(N_PAGES)
        self.io = Watched(self.disk)
        self.scheduler = Scheduler(self.io, depth=depth, **options)
        self.file = self.scheduler.open(self.disk.path("f"))

    def reads(self, pages):
        return [
            read(self.file, page, one)
            for page, one in zip(pages, separate_pages(len(pages)), strict=True)
        ]

    def writes(self, pages, mark=1):
        return [write(self.file, page, mark) for page in pages]

    def page(self, number):
        return self.disk.content("f")[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]

    @contextmanager
    def held(self, batch=None, priority=WRITE_BACK):
        """Hold one write-back slice at the door of the engine while the block runs."""
        self.io.door.clear()
        ticket = self.scheduler.submit_later(batch or self.writes([120]), priority)
        assert self.io.arrived.acquire(timeout=10)
        try:
            yield ticket
        finally:
            self.io.door.set()

    def order(self):
        return [[one.offset // PAGE_BYTES for one in batch] for batch in self.io.batches]

    def close(self):
        dropped = self.scheduler.close()
        check_sums(self.scheduler)
        return dropped


def check_sums(scheduler):
    for stats in scheduler.stats().classes.values():
        assert stats.requests == stats.done + stats.failed + stats.dropped + stats.waiting
        moved = stats.cached + stats.transfers - stats.retried + stats.merged
        assert stats.done + stats.failed == moved
        assert stats.waiting >= 0


def in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_demand_goes_straight_to_the_engine_and_needs_no_thread():
    rig = Rig()
    caller = []
    original = rig.disk.submit
    rig.disk.submit = lambda *of: caller.append(threading.current_thread()) or original(*of)
    batch = rig.reads([9, 3, 50])
    done = rig.scheduler.submit(batch)
    check_all(done)
    assert [one.request for one in done] == batch
    assert all(one.buffer == rig.content[one.offset : request_end(one)] for one in batch)
    assert caller == [threading.current_thread()]
    assert rig.scheduler._thread is None
    stats = rig.scheduler.stats()
    assert (stats.straight, stats.ordered) == (1, 0)
    assert stats.classes[DEMAND].bytes == 3 * PAGE_BYTES
    assert stats.classes[DEMAND].waited_ns == 0
    rig.close()


def test_demand_overtakes_what_is_queued():
    rig = Rig(depth=2, limits=Limits(patience_s=30.0))
    with rig.held():
        back = rig.scheduler.submit_later(rig.writes(range(10, 20)), WRITE_BACK)
        ahead = rig.scheduler.submit_later(rig.reads(range(40, 44)), PREFETCH)
        demand = in_thread(lambda: check_all(rig.scheduler.submit(rig.reads([70]))))
        assert rig.io.arrived.acquire(timeout=10)
    demand.join()
    check_all(back.wait())
    check_all(ahead.wait())
    # The slice under way, demand beside it, prefetch before write-back, two requests at a time.
    assert rig.order()[1] == [70]
    assert rig.order()[2:4] == [[40], [42]]  # two neighbours each, merged
    assert [page for batch in rig.order()[4:] for page in batch] == list(range(10, 20))
    assert all(len(batch) <= 2 for batch in rig.order())
    assert rig.close() == 0


def test_lower_priorities_wait_while_demand_is_under_way_but_do_not_starve():
    rig = Rig(limits=Limits(patience_s=0.05))
    rig.io.door.clear()
    demand = in_thread(lambda: check_all(rig.scheduler.submit(rig.reads([1]))))
    assert rig.io.arrived.acquire(timeout=10)
    start = time.monotonic()
    ticket = rig.scheduler.submit_later(rig.writes([5]), WRITE_BACK)
    # It reaches the engine although the demand batch is still there.
    assert rig.io.arrived.acquire(timeout=10)
    assert time.monotonic() - start >= 0.05
    rig.io.door.set()
    demand.join()
    check_all(ticket.wait())
    waited = rig.scheduler.stats().classes[WRITE_BACK].waited_ns
    assert waited >= 50_000_000
    rig.close()


def test_a_demand_read_waits_for_a_queued_write_to_its_bytes():
    rig = Rig(depth=1, limits=Limits(patience_s=30.0))
    with rig.held():
        rig.scheduler.submit_later(rig.writes([10, 11, 12], mark=77), WRITE_BACK)
        batch = rig.reads([12])
        demand = in_thread(lambda: check_all(rig.scheduler.submit(batch)))
        other = rig.reads([60])
        check_soon = in_thread(lambda: check_all(rig.scheduler.submit(other)))
        assert rig.io.arrived.acquire(timeout=10)
    check_soon.join()
    demand.join()
    assert set(batch[0].buffer) == {77}
    assert rig.order() == [[120], [60], [10], [11], [12], [12]]
    stats = rig.scheduler.stats()
    assert (stats.straight, stats.ordered) == (1, 1)
    assert stats.classes[DEMAND].waited_ns > 0
    rig.close()


def test_a_demand_write_does_not_get_before_an_older_one():
    rig = Rig(depth=1)
    with rig.held():
        rig.scheduler.submit_later(rig.writes([10], mark=1), WRITE_BACK)
        newer = in_thread(lambda: check_all(rig.scheduler.submit(rig.writes([10], mark=2))))
        while not rig.scheduler.stats().ordered:
            time.sleep(0.001)
    newer.join()
    assert set(rig.page(10)) == {2}
    rig.close()


def test_a_prefetch_behind_a_queued_write_sees_it():
    rig = Rig(depth=4)
    with rig.held():
        rig.scheduler.submit_later(rig.writes([10], mark=9), WRITE_BACK)
        batch = rig.reads([10])
        ticket = rig.scheduler.submit_later(batch, PREFETCH)
    check_all(ticket.wait())
    assert set(batch[0].buffer) == {9}
    rig.close()


def test_a_sync_comes_after_the_writes_queued_before_it():
    rig = Rig(depth=8)
    with rig.held():
        tickets = [
            rig.scheduler.submit_later(batch, WRITE_BACK)
            for batch in (rig.writes([1, 5]), [Request("sync", rig.file)], rig.writes([9]))
        ]
    for ticket in tickets:
        check_all(ticket.wait())
    at = rig.disk.position
    images = rig.disk.crash_images(np.random.default_rng(0), 20, since=at)
    assert all(image.content("f")[PAGE_BYTES] == 1 for image in images)
    assert rig.order() == [[120], [1, 5], [0], [9]]
    rig.close()


def test_later_writes_to_the_same_bytes_win():
    rig = Rig(depth=8)
    with rig.held():
        tickets = [
            rig.scheduler.submit_later(rig.writes([7], mark), WRITE_BACK) for mark in range(1, 6)
        ]
    for ticket in tickets:
        check_all(ticket.wait())
    assert set(rig.page(7)) == {5}
    rig.close()


def test_a_full_prefetch_queue_drops_and_counts():
    rig = Rig(limits=Limits(prefetch_requests=5))
    with rig.held():
        kept = rig.scheduler.submit_later(rig.reads(range(4)), PREFETCH)
        full = rig.scheduler.submit_later(rig.reads(range(10, 12)), PREFETCH)
        assert full.done
        assert all(isinstance(done.error, DroppedError) for done in full.wait(0))
        assert "full (limit 5 requests)" in str(full.wait(0)[0].error)
    check_all(kept.wait())
    too_large = rig.scheduler.submit_later(rig.reads(range(6)), PREFETCH)
    assert too_large.done
    stats = rig.scheduler.stats().classes[PREFETCH]
    assert (stats.requests, stats.done, stats.dropped) == (12, 4, 8)
    rig.close()


def test_a_full_write_back_queue_waits_and_says_so():
    rig = Rig(limits=Limits(write_back_requests=3))
    with rig.held():
        first = rig.scheduler.submit_later(rig.writes([1, 2, 3]), WRITE_BACK)
        start = time.monotonic()
        late = rig.scheduler.submit_later(rig.writes([4]), WRITE_BACK, deadline_s=0.03)
        assert time.monotonic() - start >= 0.03
        (done,) = late.wait(0)
        assert isinstance(done.error, DroppedError)
        assert "stayed full for 0.03 s (3 requests wait, limit 3)" in str(done.error)
        tickets = []
        waiting = in_thread(
            lambda: tickets.append(rig.scheduler.submit_later(rig.writes([5]), WRITE_BACK))
        )
        waiting.join(0.02)
        assert waiting.is_alive()
    waiting.join()
    check_all([*first.wait(), *tickets[0].wait()])
    assert rig.page(4) == rig.content[4 * PAGE_BYTES : 5 * PAGE_BYTES]
    assert rig.scheduler.stats().classes[WRITE_BACK].dropped == 1
    rig.close()


def test_what_is_late_in_its_queue_is_dropped():
    rig = Rig()
    with rig.held():
        late = rig.scheduler.submit_later(rig.writes([3]), WRITE_BACK, deadline_s=0.01)
        after = rig.scheduler.submit_later(rig.writes([4]), WRITE_BACK)
        time.sleep(0.02)
    check_all(after.wait())
    (done,) = late.wait()
    assert isinstance(done.error, DeadlineError)
    assert "write-back request still waited for its turn after 0.01 s" in str(done.error)
    assert rig.page(3) == rig.content[3 * PAGE_BYTES : 4 * PAGE_BYTES]
    assert rig.scheduler.stats().classes[WRITE_BACK].dropped == 1
    rig.close()


def test_blocking_batches_of_lower_priority_end_by_their_deadline():
    rig = Rig()
    with rig.held():
        start = time.monotonic()
        (done,) = rig.scheduler.submit(rig.writes([3]), WRITE_BACK, deadline_s=0.03)
        assert 0.03 <= time.monotonic() - start < 5
        assert isinstance(done.error, DeadlineError)
    check_all(rig.scheduler.submit(rig.writes([4]), WRITE_BACK))
    assert set(rig.page(4)) == {1}
    rig.close()


def test_tickets_are_withdrawn_as_far_as_they_are_not_begun():
    rig = Rig(depth=2, merge=False)
    pages = [10, 11, 12, 13, 14]
    with rig.held(rig.writes(pages)) as ticket:
        assert ticket.cancel() == 3
        assert ticket.cancel() == 0
    done = ticket.wait()
    assert [one.error is None for one in done] == [True, True, False, False, False]
    assert isinstance(done[2].error, DroppedError)
    assert rig.page(12) == rig.content[12 * PAGE_BYTES : 13 * PAGE_BYTES]
    # Nobody waits for a write that was withdrawn.
    check_all(rig.scheduler.submit(rig.reads([12])))
    assert rig.scheduler.stats().ordered == 0
    rig.close()


def test_close_writes_what_is_queued_and_drops_prefetches():
    rig = Rig(depth=1)
    with rig.held():
        ahead = rig.scheduler.submit_later(rig.reads([1, 2]), PREFETCH)
        back = rig.scheduler.submit_later(rig.writes([20, 30, 40]), WRITE_BACK)
        opener = threading.Timer(0.02, rig.io.door.set)
        opener.start()
        assert rig.scheduler.close() == 0
        opener.join()
    assert back.done
    check_all(back.wait(0))
    assert all(isinstance(done.error, DroppedError) for done in ahead.wait(1))
    check_sums(rig.scheduler)
    assert rig.scheduler.close() == 0
    for refused in (
        lambda: rig.scheduler.submit(rig.reads([1])),
        lambda: rig.scheduler.submit_later(rig.writes([1]), WRITE_BACK),
    ):
        with pytest.raises(StorageError, match="closed"):
            refused()
    rig.scheduler._thread.join(5)
    assert not rig.scheduler._thread.is_alive()


def test_close_counts_what_it_could_not_write_in_time():
    rig = Rig(depth=1)
    with rig.held():
        back = rig.scheduler.submit_later(rig.writes([20, 30]), WRITE_BACK)
        start = time.monotonic()
        assert rig.scheduler.close(deadline_s=0.03) == 2
        assert time.monotonic() - start < 5
        assert "not begun 0.03 s after close" in str(back.wait(0)[0].error)
    rig.scheduler._thread.join(5)
    stats = rig.scheduler.stats().classes[WRITE_BACK]
    assert (stats.done, stats.dropped, stats.waiting) == (1, 2, 0)
    check_sums(rig.scheduler)


def test_whoever_waits_for_room_hears_of_the_close():
    rig = Rig(limits=Limits(write_back_requests=1))
    with rig.held():
        rig.scheduler.submit_later(rig.writes([1]), WRITE_BACK)
        tickets = []
        waiting = in_thread(
            lambda: tickets.append(rig.scheduler.submit_later(rig.writes([2]), WRITE_BACK))
        )
        waiting.join(0.02)
        closing = in_thread(rig.scheduler.close)
        waiting.join(5)
        assert "closed" in str(tickets[0].wait(0)[0].error)
    closing.join()
    check_sums(rig.scheduler)


def test_one_bad_page_costs_only_its_own_request_in_any_class():
    # A demand batch is merged as far as it leaves the depth filled, a slice wholly.
    for priority, depth in ((DEMAND, 1), (PREFETCH, 8)):
        rig = Rig(depth=depth)
        rig.io.bad_pages = {4}
        done = rig.scheduler.submit(rig.reads(range(2, 8)), priority)
        assert [one.error is None for one in done] == [True, True, False, True, True, True]
        stats = rig.scheduler.stats().classes[priority]
        assert (stats.done, stats.failed, stats.retried, stats.merged) == (5, 1, 6, 5)
        rig.close()


def test_an_engine_that_refuses_a_slice_fails_its_requests_only():
    rig = Rig()
    with rig.held():
        ticket = rig.scheduler.submit_later(rig.writes([1]), WRITE_BACK)
        rig.disk.close()
    (done,) = ticket.wait()
    assert "closed" in str(done.error)
    with pytest.raises(StorageError, match="closed"):
        rig.scheduler.submit(rig.reads([1]))
    assert rig.scheduler.stats().classes[DEMAND].failed == 1
    rig.close()


def test_what_hangs_in_a_slice_ends_by_its_deadline_and_demand_goes_on():
    disk, content = disk_with(N_PAGES)
    io = FaultIO(disk, Faults([Fault("hang", op="write", nth=1)]))
    with Scheduler(io, depth=4, limits=Limits(patience_s=0.01)) as scheduler:
        file = scheduler.open(disk.path("f"))
        hung = scheduler.submit_later([write(file, 3, 1)], WRITE_BACK, deadline_s=0.1)
        batch = [read(file, 9, aligned_buffer(PAGE_BYTES))]
        check_all(scheduler.submit(batch, deadline_s=1.0))
        assert batch[0].buffer == content[9 * PAGE_BYTES : 10 * PAGE_BYTES]
        assert isinstance(hung.wait(5)[0].error, DeadlineError)
        check_all(scheduler.submit([write(file, 5, 1)], WRITE_BACK))
        check_sums(scheduler)
    io.release()


def test_demand_tickets_and_limits_out_of_range_are_refused():
    rig = Rig()
    with pytest.raises(StorageError, match="use submit"):
        rig.scheduler.submit_later(rig.reads([1]), DEMAND)
    for options in ({"depth": 0}, {"depth": 1, "limits": Limits(slice_bytes=0)}):
        with pytest.raises(StorageError, match="at least 1"):
            Scheduler(rig.io, **options)
    assert rig.scheduler.submit_later([], WRITE_BACK).done
    assert rig.scheduler.submit([]) == []
    rig.close()


def test_a_child_process_is_refused_what_needs_the_thread():
    rig = Rig()
    check_all(rig.scheduler.submit(rig.writes([1]), WRITE_BACK))
    rig.scheduler._pid = os.getpid() + 1  # as a child sees it, without a fork among threads
    with pytest.raises(StorageError, match="before a fork"):
        rig.scheduler.submit_later(rig.writes([1]), WRITE_BACK)
    rig.scheduler._pid = os.getpid()
    rig.close()


@pytest.mark.parametrize("make", [SynchronousEngine, lambda: ThreadEngine(depth=4)])
def test_restore_and_write_back_from_many_threads_on_a_real_disk(make, disk_folder):
    n_threads, n_pages, rounds = 4, 32, 12
    path = disk_folder / "f"
    content = np.random.default_rng(0).bytes(n_threads * n_pages * PAGE_BYTES)
    path.write_bytes(content)
    engine = make()
    wrong = []
    with Scheduler(engine, depth=4, read_ahead=ReadAhead(chunk_bytes=4 * PAGE_BYTES)) as scheduler:
        file = scheduler.open(path)

        def work(number):
            rng = np.random.default_rng(number)
            base = number * n_pages
            model = bytearray(content[base * PAGE_BYTES : (base + n_pages) * PAGE_BYTES])
            for turn in range(rounds):
                start = int(rng.integers(0, n_pages - 4))
                batch = [write(file, base + start, turn + 1, 2)]
                model[start * PAGE_BYTES : (start + 2) * PAGE_BYTES] = batch[0].buffer
                priority = DEMAND if rng.random() < 0.3 else WRITE_BACK
                if priority is DEMAND:
                    check_all(scheduler.submit(batch))
                else:
                    scheduler.submit_later(batch, WRITE_BACK)
                reads = [read(file, base + at, aligned_buffer(PAGE_BYTES)) for at in range(n_pages)]
                check_all(scheduler.submit(reads))
                found = b"".join(one.buffer for one in reads)
                wrong.extend([turn] if found != model else [])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
    check_sums(scheduler)
    stats = scheduler.stats().classes
    assert stats[DEMAND].requests + stats[WRITE_BACK].requests == n_threads * rounds * (n_pages + 1)
    engine.close()


steps = st.tuples(
    st.sampled_from(["read", "write", "later", "ahead", "wait", "cancel"]),
    st.integers(0, 23),
    st.integers(1, 4),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    steps=st.lists(steps, max_size=40),
    order=st.booleans(),
    merge=st.booleans(),
    depth=st.integers(1, 8),
)
def test_any_sequence_of_steps_is_as_if_done_one_after_the_other(steps, order, merge, depth):
    rig = Rig(depth=depth, order=order, merge=merge, limits=Limits(write_back_requests=6))
    model = bytearray(rig.content)
    tickets, aheads = [], []
    for number, (step, page, n_pages) in enumerate(steps):
        start, end = page * PAGE_BYTES, (page + n_pages) * PAGE_BYTES
        if step == "write":
            check_all(rig.scheduler.submit(rig.writes(range(page, page + n_pages), number + 1)))
            model[start:end] = bytes([number + 1]) * (end - start)
        elif step == "later":
            batch = rig.writes(range(page, page + n_pages), number + 1)
            tickets.append(rig.scheduler.submit_later(batch, WRITE_BACK))
            model[start:end] = bytes([number + 1]) * (end - start)
        elif step == "ahead":
            batch = rig.reads(range(page, page + n_pages))
            ticket = rig.scheduler.submit_later(batch, PREFETCH)
            aheads.append((ticket, number, bytes(model[start:end])))
        elif step == "wait" and tickets:
            check_all(tickets[page % len(tickets)].wait())
        elif step == "cancel" and aheads:
            aheads.pop(page % len(aheads))[0].cancel()
        else:
            batch = rig.reads(range(page, page + n_pages))
            check_all(rig.scheduler.submit(batch))
            assert b"".join(one.buffer for one in batch) == model[start:end]
    for ticket, asked_at, expected in aheads:
        if isinstance(ticket.wait()[0].error, DroppedError):
            continue  # a write comes first, and its queue is full
        check_all(ticket.wait())
        later = [step for step in steps[asked_at:] if step[0] in ("write", "later")]
        changed = {page + at for _, page, n_pages in later for at in range(n_pages)}
        for at, request in enumerate(ticket.requests):
            # It waits for earlier writes; of later ones it may see the bytes, or not.
            if request.offset // PAGE_BYTES not in changed:
                assert request.buffer == expected[at * PAGE_BYTES : (at + 1) * PAGE_BYTES]
    assert rig.close() == 0
    assert rig.disk.content("f") == model
