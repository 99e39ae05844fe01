"""A trace gives its requests back, in order, and knows when each block is needed again."""

import numpy as np

from workbench.benchmark.caching.trace import Request, from_requests
from workbench.tiering.eviction.min import NEVER


def trace_of(*block_ids, arrivals=None):
    arrivals = arrivals or range(len(block_ids))
    requests = [
        Request(float(at), 10 * len(ids), 3, list(ids))
        for at, ids in zip(arrivals, block_ids, strict=True)
    ]
    return from_requests("made up", 16, requests)


def test_requests_come_back_as_they_were():
    trace = trace_of([1, 2], [], [1, 2, 3])
    assert [request.tolist() for request in trace] == [[1, 2], [], [1, 2, 3]]
    assert (len(trace), trace.n_references, trace.n_distinct) == (3, 5, 3)
    assert trace.input_tokens.tolist() == [20, 0, 30]
    assert trace.output_tokens.tolist() == [3, 3, 3]


def test_requests_are_ordered_by_arrival_and_the_first_arrives_at_zero():
    trace = trace_of([1], [2], [3], [4], arrivals=[7, 5, 7, 6])
    assert trace.arrival_s.tolist() == [0, 1, 2, 2]
    assert [request.tolist() for request in trace] == [[2], [4], [1], [3]]


def test_no_requests_are_a_trace_too():
    trace = trace_of()
    assert (len(trace), trace.n_references, trace.n_distinct) == (0, 0, 0)
    assert list(trace) == []
    assert trace.next_uses().tolist() == []
    assert trace.block_ids.dtype == np.int64


def test_a_head_is_the_first_requests():
    trace = trace_of([1, 2], [3], [4, 5, 6])
    assert [request.tolist() for request in trace.head(2)] == [[1, 2], [3]]
    assert trace.head(2).n_references == 3
    assert len(trace.head(99)) == 3
    assert len(trace.head(0)) == len(trace.head(-1)) == 0


def test_next_uses_are_positions_in_the_order_of_the_calls():
    trace = trace_of([1, 2], [1, 3], [2, 1])
    # Positions: 1 2 | 1 3 | 2 1; calls: 2 1 | 3 1 | 1 2.
    assert trace.next_uses().tolist() == [4, 2, NEVER, 5, NEVER, NEVER]


def test_next_uses_are_what_looking_ahead_finds():
    rng = np.random.default_rng(1)
    trace = trace_of(*(rng.permutation(12)[: rng.integers(0, 9)] for _ in range(60)))
    ids = trace.block_ids.tolist()
    expected = []
    for start, stop in zip(trace.starts[:-1].tolist(), trace.starts[1:].tolist(), strict=True):
        for at in reversed(range(start, stop)):
            later = (n for n in range(at + 1, len(ids)) if ids[n] == ids[at])
            expected.append(next(later, NEVER))
    assert trace.next_uses().tolist() == expected
