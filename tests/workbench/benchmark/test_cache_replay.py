"""The real cache, with real bytes on a real disk, counts exactly what the simulation counts."""

import pytest

from workbench.benchmark import cache_replay, trace_mooncake, trace_sessions
from workbench.benchmark.tier_simulation import Tiers, simulate_tiers
from workbench.tiering import eviction
from workbench.tiering.write_policy import WRITE_POLICIES


def assert_equal(trace, tiers, store):
    simulated = simulate_tiers(trace, tiers, cache_replay.block_keys(trace))
    replayed = cache_replay.replay(trace, tiers, store)
    assert replayed.hits.tolist() == simulated.hits.tolist()
    assert replayed.n_hot == simulated.hot_hits.sum()
    assert replayed.n_cold == simulated.cold_hits.sum()
    assert replayed.n_written == simulated.n_written
    assert (replayed.n_wrong, replayed.block_bytes) == (0, 4096)
    return replayed


@pytest.fixture(scope="module")
def sessions():
    spread = trace_sessions.Sessions(5, within_s=600, merged_blocks=64)
    return trace_sessions.read(spread, 0).head(110)


@pytest.mark.parametrize("policy", eviction.POLICIES)
def test_every_policy_hits_as_simulated(sessions, policy, disk_folder):
    replayed = assert_equal(sessions, Tiers(40, sessions.n_distinct, policy), disk_folder)
    assert replayed.n_compared == 16 * replayed.hits.sum() > 10_000
    assert replayed.n_cold > 20


@pytest.mark.parametrize("write", WRITE_POLICIES)
def test_every_write_policy_writes_as_simulated(sessions, write, disk_folder):
    assert_equal(sessions, Tiers(40, sessions.n_distinct, write=write), disk_folder)


def test_a_production_trace_hits_as_simulated(disk_folder):
    trace = trace_mooncake.read("mooncake-synthetic").head(60)
    replayed = assert_equal(trace, Tiers(300, trace.n_distinct), disk_folder)
    assert replayed.hits.sum() > 0
