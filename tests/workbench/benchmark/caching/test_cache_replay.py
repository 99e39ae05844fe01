"""The real cache, with real bytes on a real disk, counts exactly what the simulation counts."""

from dataclasses import replace

import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from workbench.benchmark.caching import cache_replay, trace_mooncake, trace_sessions
from workbench.benchmark.caching.tier_simulation import Tiers, simulate_tiers
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


def test_simulation_and_cache_stand_side_by_side(sessions, disk_folder):
    trace = sessions.head(70)
    ways = cache_replay.ways_for(trace)
    table = cache_replay.compare(trace, ways, disk_folder)
    assert table["equal"].to_list() == [True] * len(ways)
    assert table["wrong"].to_list() == [0] * len(ways)
    assert table["tokens compared"].min() > 0
    simulated = simulate_tiers(trace, ways[0])
    written = f"{simulated.n_written:,} / {simulated.n_written:,}"
    assert table["written: simulated / real"][0] == written
    assert simulated.cold_hits.sum() > 0
    assert list(disk_folder.iterdir()) == []


def test_a_cache_that_hits_something_else_is_not_called_equal(sessions, disk_folder, monkeypatch):
    real = cache_replay.replay

    def one_more(trace, tiers, store):
        found = real(trace, tiers, store)
        return replace(found, n_written=found.n_written + 1)

    monkeypatch.setattr(cache_replay, "replay", one_more)
    table = cache_replay.compare(sessions.head(5), [Tiers(40, 400)], disk_folder)
    assert table["equal"].to_list() == [False]


def test_the_ways_have_room_for_the_longest_request_and_an_ssd_for_all():
    long = trace_of(range(100), [1, 2])
    for way in cache_replay.ways_for(long):
        assert (way.ram_blocks, way.ssd_blocks) == (101, 100)
    assert cache_replay.ways_for(trace_of([1]))[0].ram_blocks == 40
    assert {way.write for way in cache_replay.ways_for(long)} == set(WRITE_POLICIES)
