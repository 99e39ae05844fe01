"""What a policy costs is counted: one time a round, and every byte that it keeps."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from workbench.benchmark.caching import policy_cost
from workbench.errors import UsageError
from workbench.tiering import eviction


@pytest.mark.parametrize("name", eviction.POLICIES)
def test_every_policy_is_timed_full_and_stays_whole(name):
    cost = policy_cost.measure(name, 500, 10)
    assert (cost.policy, cost.n_blocks, cost.call_us.shape) == (name, 500, (10,))
    assert np.isfinite(cost.call_us).all()
    assert cost.call_us.min() > 0
    # A reference to each held key, at least.
    assert 8 < cost.bytes_per_block < 2000


class Hoarder:
    """A policy that keeps a hundred bytes with every block, and counts what is asked of it."""

    def __init__(self, capacity_blocks):
        self.capacity_blocks = capacity_blocks
        self.held = {}
        self.calls = {"touch": 0, "insert": 0, "evict": 0}

    def __contains__(self, key):
        return key in self.held

    def touch(self, key):
        assert key in self.held
        self.calls["touch"] += 1

    def insert(self, key):
        self.calls["insert"] += 1
        assert len(self.held) < self.capacity_blocks
        self.held[key] = bytes(100)

    def evict(self):
        self.calls["evict"] += 1
        key = next(iter(self.held))
        del self.held[key]
        return key

    def check(self):
        assert len(self.held) == self.capacity_blocks


@pytest.fixture
def made(monkeypatch):
    policies = []

    def create(name, capacity_blocks):
        policies.append(Hoarder(capacity_blocks))
        return policies[-1]

    monkeypatch.setattr(eviction, "create", create)
    return policies


def test_what_is_kept_with_a_block_is_counted_and_its_key_is_not(made):
    n_bytes = policy_cost.measure_bytes("hoarder", 1000)
    # 133 for the value, the rest for the table of a dict that saw twice as many keys.
    assert 133 < n_bytes < 400
    assert not tracemalloc.is_tracing()
    # A third is used again, then every block makes room for another.
    assert made[0].calls == {"touch": 333, "insert": 2000, "evict": 1000}


def test_each_round_uses_evicts_and_inserts_a_tenth(made):
    policy_cost.measure("hoarder", 200, 5)
    calls = made[0].calls
    assert (calls["insert"], calls["evict"]) == (200 + 5 * 20, 5 * 20)
    assert 0 < calls["touch"] <= 5 * 20


def test_an_unknown_policy_is_refused():
    with pytest.raises(UsageError, match="lruu"):
        policy_cost.measure("lruu", 10, 10)
