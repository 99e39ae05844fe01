"""A fleet by hand: what a machine has not is asked of the server, what neither has is computed."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.caching.cache_simulation import simulate
from workbench.benchmark.caching.trace import Request, from_requests
from workbench.benchmark.network.fleet_replay import POLICY, local_hits, replay


def trace_of(*requests):
    return from_requests(
        "toy", 512, [Request(float(at), 512, 1, ids) for at, ids in enumerate(requests)]
    )


def test_requests_are_dealt_out_in_turn():
    trace = trace_of([1, 2], [1, 2], [1, 2, 3], [1, 2, 3])
    assert local_hits(trace, 1, 10).tolist() == [0, 2, 2, 3]
    # Each of two machines has to see a prefix by itself.
    assert local_hits(trace, 2, 10).tolist() == [0, 0, 2, 2]


def test_the_server_gives_what_another_machine_computed():
    trace = trace_of([1, 2], [1, 2], [1, 2, 3], [1, 2, 3])
    found = replay(trace, local_hits(trace, 2, 10), 10)
    assert found.shared.tolist() == [0, 2, 0, 1]
    assert found.computed.tolist() == [2, 0, 1, 0]
    assert found.held_blocks == 3
    assert found.rate(found.local) == pytest.approx(4 / 10)


def test_a_gap_on_the_server_ends_what_is_found():
    # Room for two blocks: of a prefix of three the deepest one went first.
    trace = trace_of([1, 2, 3], [1, 2, 3])
    found = replay(trace, np.zeros(2, np.int64), 2)
    assert found.shared.tolist() == [0, 2]
    assert found.held_blocks == 2


def test_without_a_server_all_else_is_computed():
    trace = trace_of([1, 2], [1, 2])
    found = replay(trace, local_hits(trace, 1, 10), 0)
    assert found.shared.tolist() == [0, 0]
    assert found.computed.tolist() == [2, 0]


@pytest.mark.parametrize("capacity", [1, 7, 50])
def test_one_machine_is_a_cache_and_a_server_alone_is_one_too(capacity):
    rng = np.random.default_rng(capacity)
    requests = []
    for _ in range(200):
        first = int(rng.integers(0, 12))
        requests.append([100 * first + n for n in range(int(rng.integers(1, 9)))])
    trace = trace_of(*requests)
    wanted = simulate(trace, POLICY, capacity).hits.tolist()
    assert local_hits(trace, 1, capacity).tolist() == wanted
    assert replay(trace, np.zeros(200, np.int64), capacity).shared.tolist() == wanted
