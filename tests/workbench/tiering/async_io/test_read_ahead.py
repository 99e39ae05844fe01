"""Sequential readers are served from memory, others are left alone, no byte is ever stale."""

import threading
from collections import Counter

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
from workbench.tiering.async_io.engine import PAGE_BYTES, Request, StorageError, check_all
from workbench.tiering.async_io.fault_io import FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.read_ahead import ReadAhead
from workbench.tiering.async_io.scheduler import Scheduler
from workbench.tiering.async_io.ticket import Priority
from workbench.tiering.async_io.waiting import Limits

DEMAND, PREFETCH, WRITE_BACK = Priority


class Rig:
    """A disk, a scheduler that reads two pages ahead at a time, and one reader."""

    def __init__(self, n_pages=256, chunk_pages=2, cache_pages=32, rules=(), **options):
        self.disk, self.content = disk_with(n_pages)
        self.faults = Faults(rules)
        self.faulty = FaultIO(self.disk, self.faults)
        self.io = Watched(self.faulty)
        # Where the device is memory nothing is gained; that is for the last tests.
        options.setdefault("measure", False)
        self.ahead = ReadAhead(
            chunk_bytes=chunk_pages * PAGE_BYTES, cache_bytes=cache_pages * PAGE_BYTES, **options
        )
        self.scheduler = Scheduler(self.io, depth=4, read_ahead=self.ahead)
        self.file = self.scheduler.open(self.disk.path("f"))

    def read(self, *pages, n_pages=1, deadline_s=10.0):
        batch = [read(self.file, page, aligned_buffer(n_pages * PAGE_BYTES)) for page in pages]
        done = self.scheduler.submit(batch, deadline_s=deadline_s)
        check_all(done)
        for request in batch:
            assert request.buffer == self.content[request.offset : request_end(request)]
        return done

    def close(self):
        self.scheduler.close()
        check_sums(self.ahead)
        return self.ahead.stats()


def check_sums(ahead):
    stats = ahead.stats()
    assert stats.reads == stats.hits + stats.partial + stats.misses
    assert stats.chunks == stats.used + stats.wasted + stats.failed + stats.held
    assert 0 <= stats.rate <= 1
    assert stats.hit_bytes <= stats.fetched_bytes
    assert ahead._memory.n_buffers <= ahead._memory.most


def test_a_sequential_reader_is_served_from_memory_from_its_fourth_read_on():
    rig = Rig()
    for page in range(100):
        rig.read(page)
    stats = rig.close()
    assert (stats.reads, stats.misses) == (100, 3)
    assert stats.hits == 97
    assert stats.hit_bytes == 97 * PAGE_BYTES
    demand = rig.scheduler.stats().classes[DEMAND]
    assert (demand.requests, demand.done, demand.cached) == (100, 100, 97)
    assert demand.bytes == 100 * PAGE_BYTES


def test_the_window_grows_while_it_is_used():
    rig = Rig()
    for page in range(100):
        rig.read(page)
    in_slice = Counter(len(batch) for batch in rig.io.batches)
    assert max(in_slice) >= 1
    (stream,) = rig.ahead._streams
    assert stream.depth == 16  # the whole cache
    assert rig.ahead.stats().rate == 1.0
    rig.close()


def test_batches_and_other_sizes_are_followed_alike():
    rig = Rig()
    page = 0
    for n_requests, n_pages in [(4, 1), (4, 1), (1, 3), (2, 5), (8, 2), (1, 1), (3, 7), (5, 4)]:
        rig.read(*range(page, page + n_requests * n_pages, n_pages), n_pages=n_pages)
        page += n_requests * n_pages
    stats = rig.close()
    assert stats.hits + stats.partial >= 15
    assert stats.wasted <= 16


def test_an_unordered_batch_of_a_sequence_is_followed():
    rig = Rig()
    for first in range(0, 64, 8):
        rig.read(
            *np.random.default_rng(first).permutation(range(first, first + 7)).tolist(), first + 7
        )
    assert rig.close().hits >= 30


def test_several_readers_are_followed_at_once():
    rig = Rig(cache_pages=64)
    other = rig.scheduler.open(rig.disk.path("f"))
    for page in range(40):
        for file, first in ((rig.file, 0), (rig.file, 100), (other, 0)):
            batch = [read(file, first + page, aligned_buffer(PAGE_BYTES))]
            check_all(rig.scheduler.submit(batch))
            assert batch[0].buffer == rig.content[batch[0].offset : request_end(batch[0])]
    assert rig.close().hits >= 3 * 36


def test_several_readers_in_each_batch_are_found():
    rig = Rig(cache_pages=64)
    for page in range(40):
        rig.read(page, 60 + page, 120 + page, 180 + page)
    assert rig.close().hits >= 100


def test_random_reads_ask_for_nothing_and_look_at_nothing():
    rig = Rig()
    pages = np.random.default_rng(3).permutation(np.arange(0, 256, 2)).tolist()
    for at in range(0, 128, 16):
        rig.read(*pages[at : at + 16])
    stats = rig.close()
    assert (stats.reads, stats.misses, stats.chunks) == (128, 128, 0)
    assert stats.fetched_bytes == 0
    assert len(rig.ahead._heads) <= 2 * 8
    assert list(rig.ahead._streams) == []


def test_streams_are_found_after_a_long_time_without_one():
    rig = Rig(n_pages=2048, cache_pages=64)
    pages = np.random.default_rng(3).permutation(np.arange(1000, 2048, 2)).tolist()
    for at in range(0, 500, 5):
        rig.read(*pages[at : at + 5])
    assert rig.ahead.stats().chunks == 0
    for page in range(60):
        rig.read(page, 100 + page, 200 + page, 300 + page)
    assert rig.close().hits >= 120


def test_what_is_noted_is_bounded():
    rig = Rig(n_pages=2048)
    for page in range(0, 2000, 3):
        rig.read(page)
    assert len(rig.ahead._heads) <= 16
    assert len(rig.ahead._streams._known.candidates) <= 16
    rig.close()


def test_waste_shrinks_read_ahead_to_nothing_and_use_brings_it_back():
    rig = Rig(n_pages=2048, chunk_pages=8, cache_pages=64)
    for first in range(0, 1200, 12):
        for page in range(first, first + 3):
            rig.read(page)
    # Three reads, then elsewhere: read-ahead was wrong a few times, then it stopped.
    stats = rig.ahead.stats()
    assert stats.hits == 0
    assert stats.rate < 0.5
    assert stats.chunks < 30
    wasted = stats.chunks
    for page in range(1300, 1330):
        rig.read(page)
    assert rig.ahead.stats().chunks == wasted  # still doubted
    doubted = rig.ahead.stats().rate
    for page in range(1330, 1500):
        rig.read(page)
    stats = rig.close()
    assert stats.hits > 100
    assert stats.rate > doubted


def test_memory_is_bounded_with_more_readers_than_it_holds():
    rig = Rig(n_pages=1024, cache_pages=8, streams=4)
    for page in range(30):
        for reader in range(8):
            rig.read(100 * reader + page)
        check_sums(rig.ahead)
    assert len(rig.ahead._streams) <= 4
    rig.close()


def test_an_idle_window_gives_its_memory_up():
    rig = Rig(cache_pages=4)
    for page in range(10):
        rig.read(page)
    for page in range(100, 200):
        rig.read(page)
    idle = [one for one in rig.ahead._streams if one.position < 100 * PAGE_BYTES]
    assert idle == []
    rig.close()


@pytest.mark.parametrize("priority", [DEMAND, WRITE_BACK])
def test_a_write_drops_what_was_read_ahead_of_it(priority):
    rig = Rig()
    for page in range(10):
        rig.read(page)
    assert rig.ahead.stats().held > 0
    check_all(rig.scheduler.submit([write(rig.file, 11, 77)], priority))
    expected = bytearray(rig.content)
    expected[11 * PAGE_BYTES : 12 * PAGE_BYTES] = bytes([77]) * PAGE_BYTES
    rig.content = bytes(expected)
    for page in range(10, 30):
        rig.read(page)
    assert rig.close().wasted > 0


def test_a_queued_write_is_seen_by_a_reader_with_a_window():
    rig = Rig()
    for page in range(10):
        rig.read(page)
    ticket = rig.scheduler.submit_later([write(rig.file, 12, 5)], WRITE_BACK)
    expected = bytearray(rig.content)
    expected[12 * PAGE_BYTES : 13 * PAGE_BYTES] = bytes([5]) * PAGE_BYTES
    rig.content = bytes(expected)
    for page in range(10, 20):
        rig.read(page)
    check_all(ticket.wait())
    rig.close()


def test_a_prefetch_that_fails_is_silent_and_counted():
    rig = Rig()
    rig.io.bad_pages = {20}
    for page in range(20):
        rig.read(page)
    batch = [read(rig.file, 20, aligned_buffer(PAGE_BYTES))]
    assert rig.scheduler.submit(batch)[0].error is not None
    rig.io.bad_pages = set()
    for page in range(21, 60):
        rig.read(page)
    stats = rig.close()
    assert stats.failed >= 1
    assert stats.failed <= 3
    assert stats.hits > 40


def test_the_end_of_the_file_is_found_once():
    rig = Rig(n_pages=21)
    for _ in range(5):
        for page in range(21):
            rig.read(page)
    stats = rig.close()
    assert stats.failed <= 8
    assert stats.hits > 60


def test_a_hung_prefetch_costs_a_wait_and_no_wrong_byte():
    rig = Rig(rules=[Fault("hang", op="read", nth=5)])
    for page in range(30):
        rig.read(page)
    rig.faulty.release()
    for page in range(30, 60):
        rig.read(page)
    stats = rig.close()
    # Those that waited behind it in the queue may be too late as well.
    assert 1 <= stats.failed <= 8
    assert stats.hits > 30


def test_a_read_does_not_wait_for_a_prefetch_beyond_its_own_deadline():
    rig = Rig(rules=[Fault("hang", op="read", nth=4)])
    for page in range(3):
        rig.read(page)
    # The fourth read of the engine is the prefetch that this one waits for, half of its time.
    rig.read(3, deadline_s=0.2)
    rig.faulty.release()
    rig.close()


def test_nothing_is_read_ahead_of_a_file_with_a_write_that_may_still_land():
    rig = Rig(rules=[Fault("hang", op="write", nth=1)])
    for page in range(10):
        rig.read(page)
    (done,) = rig.scheduler.submit([write(rig.file, 12, 77)], deadline_s=0.05)
    assert done.error is not None
    for page in range(10, 12):
        rig.read(page)
    rig.faulty.release()
    expected = bytearray(rig.content)
    expected[12 * PAGE_BYTES : 13 * PAGE_BYTES] = bytes([77]) * PAGE_BYTES
    rig.content = bytes(expected)
    chunks = rig.ahead.stats().chunks
    for page in range(12, 40):
        rig.read(page)
    assert rig.close().chunks == chunks


def test_scattered_reads_are_left_to_the_engine():
    rig = Rig()
    for page in range(0, 40, 2):
        first, second = separate_pages(2)
        check_all(
            rig.scheduler.submit([Request("read", rig.file, page * PAGE_BYTES, first, (second,))])
        )
        assert first == rig.content[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
        assert second == rig.content[(page + 1) * PAGE_BYTES : (page + 2) * PAGE_BYTES]
    stats = rig.close()
    assert (stats.hits, stats.used) == (0, 0)


def test_where_nothing_is_gained_read_ahead_rests():
    rig = Rig(n_pages=2048, measure=True)
    for page in range(0, 1024, 8):  # a simulated disk takes no time, so a detour only costs
        rig.read(*range(page, page + 8))
    (gain,) = rig.ahead._gains.values()
    gain.ahead_ns, gain.direct_ns, gain._n_ahead = 100.0, 1.0, 100
    gain.note_ahead(100, 1)
    assert gain.resting
    chunks = rig.ahead.stats().chunks
    for page in range(1024, 1024 + 8 * 40, 8):
        rig.read(*range(page, page + 8))
    assert rig.close().chunks == chunks


def test_forgetting_a_file_gives_its_memory_back():
    rig = Rig()
    for page in range(10):
        rig.read(page)
    rig.scheduler.forget(rig.file)
    assert rig.ahead.stats().held == 0
    assert list(rig.ahead._streams) == []
    rig.close()
    assert len(rig.ahead._memory.free) == rig.ahead._memory.n_buffers


def test_a_full_prefetch_queue_is_silent_too():
    disk, content = disk_with(64)
    ahead = ReadAhead(chunk_bytes=PAGE_BYTES, cache_bytes=16 * PAGE_BYTES, measure=False)
    limits = Limits(prefetch_requests=1)
    with Scheduler(disk, depth=4, read_ahead=ahead, limits=limits) as scheduler:
        file = scheduler.open(disk.path("f"))
        for page in range(60):
            batch = [read(file, page, aligned_buffer(PAGE_BYTES))]
            check_all(scheduler.submit(batch))
            assert batch[0].buffer == content[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
    assert ahead.stats().failed > 0
    check_sums(ahead)


def test_reads_in_a_closed_scheduler_are_refused_even_with_a_window():
    rig = Rig()
    for page in range(10):
        rig.read(page)
    rig.close()
    with pytest.raises(StorageError, match="closed"):
        rig.read(10)


@pytest.mark.parametrize(
    "options", [{"chunk_bytes": 100}, {"cache_bytes": 1}, {"streams": 0}, {"chunk_bytes": 0}]
)
def test_limits_out_of_range_are_refused(options):
    with pytest.raises(StorageError, match="must be a multiple"):
        ReadAhead(**options)


def test_one_scheduler_each():
    rig = Rig()
    with pytest.raises(StorageError, match="has its scheduler already"):
        Scheduler(rig.disk, depth=1, read_ahead=rig.ahead)
    rig.close()


def test_readers_and_a_writer_in_threads_see_whole_generations():
    """A page is always one mark: the newest acknowledged one, or one that was under way."""
    n_pages, n_rounds = 64, 60
    rig = Rig(n_pages=n_pages)
    check_all(rig.scheduler.submit([write(rig.file, page, 0) for page in range(n_pages)]))
    acknowledged, begun = [0] * n_pages, [0] * n_pages
    wrong, stop = [], threading.Event()

    def write_on():
        rng = np.random.default_rng(0)
        for mark in range(1, n_rounds):
            first = int(rng.integers(0, n_pages - 8))
            begun[first : first + 8] = [mark] * 8
            batch = [write(rig.file, page, mark) for page in range(first, first + 8)]
            priority = WRITE_BACK if mark % 2 else DEMAND
            check_all(rig.scheduler.submit(batch, priority))
            acknowledged[first : first + 8] = [mark] * 8
        stop.set()

    def read_on():
        while not stop.is_set():
            for page in range(n_pages):
                least = acknowledged[page]
                batch = [read(rig.file, page, aligned_buffer(PAGE_BYTES))]
                check_all(rig.scheduler.submit(batch))
                marks = set(batch[0].buffer)
                if min(marks) < least or max(marks) > begun[page]:
                    wrong.append((page, least, marks, begun[page]))

    threads = [threading.Thread(target=one) for one in (write_on, read_on, read_on)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert rig.close().hits > 0


N_PAGES = 48
kinds = st.sampled_from(["on", "on", "on", "batch", "jump", "write", "later", "wait", "forget"])
steps = st.tuples(kinds, st.integers(0, N_PAGES - 6), st.integers(1, 6))
faults = st.lists(
    st.builds(
        lambda kind, nth: Fault(kind, op="read", nth=nth, keep_bytes=512),
        st.sampled_from(["error", "short"]),
        st.integers(1, 30),
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    steps=st.lists(steps, max_size=60),
    rules=faults,
    chunk_pages=st.integers(1, 4),
    cache_chunks=st.integers(1, 8),
    measure=st.booleans(),
)
def test_any_reads_and_writes_are_those_of_a_plain_file(
    steps, rules, chunk_pages, cache_chunks, measure
):
    rig = Rig(N_PAGES, chunk_pages, chunk_pages * cache_chunks, rules, streams=2, measure=measure)
    model, position, tickets = bytearray(rig.content), 0, []
    for number, (kind, page, n_pages) in enumerate(steps):
        start, end = page * PAGE_BYTES, (page + n_pages) * PAGE_BYTES
        if kind == "write":
            check_all(rig.scheduler.submit([write(rig.file, page, number, n_pages)]))
            model[start:end] = bytes([number]) * (end - start)
        elif kind == "later":
            batch = [write(rig.file, page + at, number) for at in range(n_pages)]
            tickets.append(rig.scheduler.submit_later(batch, WRITE_BACK))
            model[start:end] = bytes([number]) * (end - start)
        elif kind == "wait":
            for ticket in tickets:
                check_all(ticket.wait())
        elif kind == "forget":
            for ticket in tickets:
                check_all(ticket.wait())
            rig.scheduler.forget(rig.file)
            rig.file = rig.scheduler.open(rig.disk.path("f"))
        else:
            position = page if kind == "jump" or position + n_pages > N_PAGES else position
            if kind == "batch":
                batch = [
                    read(rig.file, position + at, aligned_buffer(PAGE_BYTES))
                    for at in range(n_pages)
                ]
            else:
                batch = [read(rig.file, position, aligned_buffer(n_pages * PAGE_BYTES))]
            position += n_pages
            for done in rig.scheduler.submit(batch):
                if done.error is None:
                    request = done.request
                    assert request.buffer == model[request.offset : request_end(request)]
                else:
                    # A demand read may fail only as often as the engine failed one.
                    assert rig.faults.injected.total() > 0
        check_sums(rig.ahead)
    rig.close()
    assert rig.disk.content("f") == model
