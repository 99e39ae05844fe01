"""Neighbours become one request, whatever their order; nothing else does."""

import numpy as np
import pytest

from workbench.tiering.async_io.buffers import aligned_buffer, split
from workbench.tiering.async_io.engine import PAGE_BYTES, Request
from workbench.tiering.async_io.merging import MergeLimits, gap_buffer, merged, unmerged

PAGES = split(aligned_buffer(32 * PAGE_BYTES), PAGE_BYTES)
ADJACENT = MergeLimits(gap_bytes=0)
NEAR = MergeLimits(gap_bytes=2 * PAGE_BYTES)


def batch(*pages: int, op: str = "read", file: int = 1) -> list[Request]:
    return [Request(op, file, page * PAGE_BYTES, PAGES[page]) for page in pages]


def shape(groups) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return first page, pages and members of each group."""
    return [
        (one.request.offset // PAGE_BYTES, one.request.n_bytes // PAGE_BYTES, one.members)
        for one in groups
    ]


def test_requests_that_touch_become_one():
    groups = merged(batch(5, 3, 9, 4, 10), ADJACENT, None)
    assert shape(groups) == [(3, 3, (1, 3, 0)), (9, 2, (2, 4))]
    first = groups[0].request
    assert (first.buffer, *first.rest) == (PAGES[3], PAGES[4], PAGES[5])


def test_reads_go_through_small_gaps_and_writes_never_do():
    gap = gap_buffer(NEAR)
    groups = merged(batch(0, 2, 5, 9), NEAR, gap)
    assert shape(groups) == [(0, 6, (0, 1, 2)), (9, 1, (3,))]
    sizes = [
        one.nbytes // PAGE_BYTES for one in (groups[0].request.buffer, *groups[0].request.rest)
    ]
    assert sizes == [1, 1, 1, 2, 1]
    assert shape(merged(batch(0, 2, 3, op="write"), NEAR, gap)) == [(0, 1, (0,)), (2, 2, (1, 2))]


def test_a_gap_without_memory_is_an_error():
    with pytest.raises(ValueError, match="hole of 4096"):
        merged(batch(0, 2), NEAR, None)
    assert gap_buffer(ADJACENT) is None


def test_files_and_directions_stay_apart_and_syncs_alone():
    mixed = [*batch(0), *batch(1, file=2), *batch(1, op="write"), Request("sync", 1)]
    mixed += [Request("sync", 1), *batch(2, op="write")]
    groups = merged(mixed, ADJACENT, None)
    assert sorted(one.members for one in groups) == [(0,), (1,), (2, 5), (3,), (4,)]


def test_overlaps_stay_apart():
    assert len(merged(batch(3, 3), ADJACENT, None)) == 2
    two = Request("write", 1, 0, aligned_buffer(2 * PAGE_BYTES))
    assert len(merged([two, *batch(1, op="write")], ADJACENT, None)) == 2


def test_the_limits_hold():
    limits = MergeLimits(gap_bytes=PAGE_BYTES, most_bytes=4 * PAGE_BYTES)
    groups = merged(batch(*range(10)), limits, gap_buffer(limits))
    assert [one.request.n_bytes // PAGE_BYTES for one in groups] == [4, 4, 2]
    groups = merged(batch(0, 2, 4, 6), limits, gap_buffer(limits))
    assert [one.request.n_bytes // PAGE_BYTES for one in groups] == [3, 3]
    big = MergeLimits(gap_bytes=0, most_bytes=1 << 30)
    page = PAGES[0]
    many = [Request("read", 1, n * PAGE_BYTES, page) for n in range(1300)]
    assert all(len(one.request.rest) < 1024 for one in merged(many, big, None))


def test_vectored_requests_merge_with_all_their_buffers():
    one = Request("read", 1, 0, PAGES[0], (PAGES[1],))
    groups = merged([*batch(2), one], ADJACENT, None)
    assert shape(groups) == [(0, 3, (1, 0))]
    assert groups[0].request.rest == (PAGES[1], PAGES[2])


def test_without_merging_requests_keep_to_themselves():
    assert shape(unmerged(batch(5, 3, 4), order=True)) == [(3, 1, (1,)), (4, 1, (2,)), (5, 1, (0,))]
    assert [one.members for one in unmerged(batch(5, 3, 4), order=False)] == [(0,), (1,), (2,)]


def test_every_request_is_in_exactly_one_group_whatever_the_batch():
    rng = np.random.default_rng(0)
    for _ in range(100):
        requests = [
            Request(
                str(rng.choice(["read", "write"])),
                int(rng.integers(1, 3)),
                int(page) * 4096,
                PAGES[0],
            )  # type: ignore[arg-type]
            for page in rng.integers(0, 24, size=rng.integers(0, 30))
        ]
        groups = merged(requests, NEAR, gap_buffer(NEAR))
        members = [at for one in groups for at in one.members]
        assert sorted(members) == list(range(len(requests)))
        for one in groups:
            last = requests[one.members[-1]]
            assert one.request.offset == requests[one.members[0]].offset
            end = one.request.offset + one.request.n_bytes
            assert end == last.offset + last.n_bytes
