"""A merged batch moves the same bytes as a plain one, with fewer requests, and fails apart."""

import threading

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
from workbench.tiering.async_io.buffers import address, aligned_buffer, split
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Request,
    StorageError,
    check_all,
)
from workbench.tiering.async_io.fault_io import FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.merge import Merger

N_PAGES = 64


class Rig:
    def __init__(self, **options):
        self.disk, self.content = disk_with(N_PAGES)
        self.io = Watched(self.disk)
        self.file = self.io.open(self.disk.path("f"))
        self.merger = Merger(**options)

    def carry(self, batch, deadline_s=10.0):
        return self.merger.carry_out(self.io.submit, batch, deadline_s)

    def reads(self, pages, buffers=None):
        buffers = buffers or separate_pages(len(pages))
        return [read(self.file, page, one) for page, one in zip(pages, buffers, strict=True)]

    def check(self, batch):
        for request in batch:
            assert request.buffer == self.content[request.offset : request_end(request)]

    @property
    def sent(self):
        return [
            (one.op, one.offset // PAGE_BYTES, one.n_bytes // PAGE_BYTES)
            for one in self.io.requests
        ]


def test_neighbours_in_file_and_memory_are_read_without_a_copy():
    rig = Rig()
    slab = aligned_buffer(4 * PAGE_BYTES)
    batch = rig.reads([5, 6, 7, 8], split(slab, PAGE_BYTES))
    moved = rig.carry(batch)
    check_all(moved.completions)
    rig.check(batch)
    assert (moved.transfers, moved.merged, moved.retried) == (1, 3, 0)
    (sent,) = rig.io.batches[0]
    assert (sent.offset, sent.n_bytes, address(sent.buffer)) == (5 * 4096, 4 * 4096, address(slab))


def test_small_neighbours_elsewhere_in_memory_are_staged_and_large_ones_scattered():
    rig = Rig()
    batch = rig.reads([3, 1, 2, 0])
    assert rig.carry(batch).transfers == 1
    rig.check(batch)
    assert rig.io.batches[0][0].rest == ()
    eight = [
        one[: 8 * PAGE_BYTES] for one in split(aligned_buffer(30 * PAGE_BYTES), 10 * PAGE_BYTES)
    ]
    batch = [read(rig.file, 8 * at, one) for at, one in enumerate(eight)]
    assert rig.carry(batch).transfers == 1
    rig.check(batch)
    assert len(rig.io.batches[1][0].rest) == 2


def test_gaps_up_to_the_limit_are_read_through():
    rig = Rig(gap_bytes=2 * PAGE_BYTES)
    batch = rig.reads([20, 10, 13, 30])
    moved = rig.carry(batch)
    rig.check(batch)
    assert rig.sent == [("read", 10, 4), ("read", 20, 1), ("read", 30, 1)]
    assert [done.request for done in moved.completions] == batch


def test_the_same_bytes_are_read_once():
    rig = Rig()
    batch = rig.reads([4, 4, 4])
    assert rig.carry(batch).transfers == 1
    rig.check(batch)


def test_merged_requests_stay_within_their_limit():
    rig = Rig(merged_bytes=4 * PAGE_BYTES)
    batch = rig.reads(range(10))
    rig.carry(batch)
    rig.check(batch)
    assert rig.sent == [("read", 0, 4), ("read", 4, 4), ("read", 8, 2)]


def test_merging_leaves_the_queue_filled():
    rig = Rig()
    batch = rig.reads(range(16))
    assert rig.merger.carry_out(rig.io.submit, batch, 10.0, 16).transfers == 16
    assert rig.merger.carry_out(rig.io.submit, batch, 10.0, 9).transfers == 16
    assert rig.merger.carry_out(rig.io.submit, batch, 10.0, 4).transfers == 4
    rig.check(batch)
    shuffled = [batch[at] for at in np.random.default_rng(0).permutation(16)]
    assert rig.merger.carry_out(rig.io.submit, shuffled, 10.0, 8).transfers == 8
    rig.check(batch)


def test_a_large_request_takes_no_passenger_beyond_the_limit():
    rig = Rig(merged_bytes=2 * PAGE_BYTES)
    batch = [read(rig.file, 0, aligned_buffer(8 * PAGE_BYTES)), *rig.reads([3, 8])]
    rig.carry(batch)
    rig.check(batch)
    assert len(rig.sent) == 3


def test_writes_merge_when_they_touch_in_file_and_memory_only():
    rig = Rig()
    slab = aligned_buffer(3 * PAGE_BYTES)
    slab[:] = bytes([1]) * slab.nbytes
    touching = [
        Request("write", rig.file, (10 + at) * PAGE_BYTES, page)
        for at, page in enumerate(split(slab, PAGE_BYTES))
    ]
    apart = [write(rig.file, page, page) for page in (20, 21, 23)]
    moved = rig.carry([*touching, *apart])
    check_all(moved.completions)
    assert rig.sent == [("write", 10, 3), ("write", 20, 1), ("write", 21, 1), ("write", 23, 1)]
    found = rig.disk.content("f")
    expected = bytearray(rig.content)
    expected[10 * PAGE_BYTES : 13 * PAGE_BYTES] = slab
    for page in (20, 21, 23):
        expected[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = bytes([page]) * PAGE_BYTES
    assert found == expected


def test_reads_writes_and_syncs_never_merge_with_each_other():
    rig = Rig()
    batch = [write(rig.file, 1, 9), *rig.reads([0, 2]), Request("sync", rig.file)]
    check_all(rig.carry(batch).completions)
    assert sorted(rig.sent) == [("read", 0, 3), ("sync", 0, 0), ("write", 1, 1)]


def test_one_bad_page_costs_only_its_own_request():
    rig = Rig()
    rig.io.bad_pages = {6}
    batch = rig.reads(range(4, 10))
    moved = rig.carry(batch)
    assert [done.error is None for done in moved.completions] == [True, True, False] + [True] * 3
    rig.check([one for one in batch if one.offset != 6 * PAGE_BYTES])
    assert (moved.transfers, moved.retried, moved.merged) == (7, 6, 5)


def test_a_bad_page_in_a_gap_costs_nothing():
    rig = Rig()
    rig.io.bad_pages = {6}
    batch = rig.reads([5, 7])
    check_all(rig.carry(batch).completions)
    rig.check(batch)


def test_a_read_only_buffer_is_refused_alone():
    rig = Rig()
    batch = rig.reads([1, 2, 3])
    batch[1] = read(rig.file, 2, batch[1].buffer.toreadonly())
    done = rig.carry(batch).completions
    assert [one.error is None for one in done] == [True, False, True]


def test_a_late_merged_read_is_not_retried_and_its_memory_not_used_again():
    disk, content = disk_with(N_PAGES)
    io = FaultIO(disk, Faults([Fault("hang", nth=1)]))
    file = io.open(disk.path("f"))
    merger = Merger()
    late = [read(file, page, one) for page, one in enumerate(separate_pages(3))]
    moved = merger.carry_out(io.submit, late, 0.01)
    assert all(isinstance(done.error, DeadlineError) for done in moved.completions)
    assert (moved.transfers, moved.retried) == (1, 0)
    again = [read(file, 9 + page, one) for page, one in enumerate(separate_pages(3))]
    check_all(merger.carry_out(io.submit, again, 10.0).completions)
    io.release()
    for request in again:
        assert request.buffer == content[request.offset : request_end(request)]
    # What came too late went into memory that nobody looks at.
    assert not any(any(request.buffer) for request in late)


def test_an_engine_that_refuses_a_batch_is_heard():
    rig = Rig()
    rig.disk.close()
    with pytest.raises(StorageError, match="closed"):
        rig.carry(rig.reads([1, 2]))


def test_more_runs_than_staging_memory_are_read_all_the_same():
    disk, content = disk_with(400)
    file = disk.open(disk.path("f"))
    # 100 runs: two pages with a gap, or three in a row.
    pages = [4 * run + step for run in range(100) for step in ((0, 2) if run % 2 else (0, 1, 2))]
    batch = [read(file, page, one) for page, one in zip(pages, separate_pages(250), strict=True)]
    for _ in range(2):
        moved = Merger(gap_bytes=PAGE_BYTES, merged_bytes=3 * PAGE_BYTES).carry_out(
            disk.submit, batch, 10.0
        )
        check_all(moved.completions)
        for request in batch:
            assert request.buffer == content[request.offset : request_end(request)]
    assert moved.transfers < 250


@pytest.mark.parametrize(("order", "merge"), [(False, False), (True, False), (False, True)])
def test_each_part_can_be_left_out(order, merge):
    rig = Rig(order=order, merge=merge)
    batch = rig.reads([9, 3, 4, 1])
    moved = rig.carry(batch)
    rig.check(batch)
    assert [done.request for done in moved.completions] == batch
    expected = {
        (False, False): [("read", 9, 1), ("read", 3, 1), ("read", 4, 1), ("read", 1, 1)],
        (True, False): [("read", 1, 1), ("read", 3, 1), ("read", 4, 1), ("read", 9, 1)],
        (False, True): [("read", 9, 1), ("read", 3, 2), ("read", 1, 1)],
    }
    assert rig.sent == expected[order, merge]


@pytest.mark.parametrize("options", [{"gap_bytes": -1}, {"merged_bytes": 0}])
def test_limits_out_of_range_are_refused(options):
    with pytest.raises(StorageError, match="at least"):
        Merger(**options)


def test_threads_share_the_staging_memory():
    disk, content = disk_with(N_PAGES)
    file = disk.open(disk.path("f"))
    merger = Merger()
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        buffers = separate_pages(16)
        for _ in range(40):
            pages = rng.integers(0, N_PAGES, 16).tolist()
            batch = [read(file, page, one) for page, one in zip(pages, buffers, strict=True)]
            check_all(merger.carry_out(disk.submit, batch, 10.0).completions)
            wrong.extend(
                one for one in batch if one.buffer != content[one.offset : request_end(one)]
            )

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


spans = st.tuples(st.integers(0, N_PAGES - 1), st.integers(1, 6), st.booleans(), st.booleans())


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    spans=st.lists(spans, max_size=24),
    bad=st.sets(st.integers(0, N_PAGES - 1), max_size=3),
    order=st.booleans(),
    merge=st.booleans(),
    gap=st.integers(0, 4),
    most=st.integers(1, 16),
)
def test_any_batch_moves_the_same_bytes_as_without(spans, bad, order, merge, gap, most):
    rig = Rig(order=order, merge=merge, gap_bytes=gap * PAGE_BYTES, merged_bytes=most * PAGE_BYTES)
    rig.io.bad_pages = bad
    slab, used = aligned_buffer(6 * 24 * 2 * PAGE_BYTES), 0
    expected = bytearray(rig.content)
    batch, written = [], set()
    for number, (page, n_pages, is_write, touches) in enumerate(spans):
        used += 0 if touches else PAGE_BYTES
        buffer = slab[used : used + n_pages * PAGE_BYTES]
        used += buffer.nbytes
        # Writes of one batch must not overlap; what reads beside them see is not promised.
        pages = set(range(page, page + n_pages))
        if is_write and not pages & written and page + n_pages <= N_PAGES:
            written |= pages
            buffer[:] = bytes([number + 1]) * buffer.nbytes
            expected[page * PAGE_BYTES : (page + n_pages) * PAGE_BYTES] = buffer
            batch.append(Request("write", rig.file, page * PAGE_BYTES, buffer))
        else:
            batch.append(Request("read", rig.file, page * PAGE_BYTES, buffer))
    moved = rig.carry(batch)
    assert [done.request for done in moved.completions] == batch
    assert len(batch) == moved.transfers - moved.retried + moved.merged
    for request, _, error in moved.completions:
        pages = set(range(request.offset // PAGE_BYTES, request_end(request) // PAGE_BYTES))
        beyond = request_end(request) > len(rig.content)
        assert (error is not None) == (request.op == "read" and (beyond or bool(pages & bad)))
        if error is None and request.op == "read" and not pages & written:
            assert request.buffer == rig.content[request.offset : request_end(request)]
    assert rig.disk.content("f") == expected
    longest = max((request.n_bytes for request in batch), default=0)
    assert all(one.n_bytes <= max(longest, most * PAGE_BYTES) for one in rig.io.requests)
