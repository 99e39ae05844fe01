"""The tier on servers that are killed, frozen, flushed and filled: blocks, or misses in time."""

import contextlib
import os
import random
import signal
import threading
import time

import pytest
from valkey import Valkey

from tests.network.fault_proxy import Fault, FaultProxy
from tests.network.scripted_server import ScriptedServer, as_usual
from tests.network.tiers import (
    SLACK_S,
    free_ports,
    hasty,
    key,
    patient,
    read,
    server,
    stored,
    tier_on,
    until,
    value,
)
from workbench.errors import UsageError
from workbench.tiering.distributed_tier import NetworkTier
from workbench.tiering.ssd_tier.frame import Attributes


@pytest.fixture(scope="module")
def running():
    with server() as one:
        yield one


@pytest.fixture
def tier(running):
    with Valkey(port=running.port) as client:
        client.flushall()
    with tier_on(running.url, chunk_bytes=64 << 10) as one:
        yield one


def room(n_bytes=10_000):
    return memoryview(bytearray(b"\xaa" * n_bytes))


# Blocks


def test_blocks_come_back_into_the_callers_memory_or_as_views(tier):
    stored(tier, 1, 2, 3)
    rooms = [room(), room(20_000), None, room()]
    found = tier.get_many([key(1), key(2), key(3), key(4)], rooms)
    assert [None if one is None else bytes(one) for one in found] == [
        value(1),
        value(2),
        value(3),
        None,
    ]
    assert found[0].obj is rooms[0].obj
    assert rooms[1][10_000:] == b"\xaa" * 10_000
    assert found[2].readonly
    assert rooms[3] == b"\xaa" * 10_000


@pytest.mark.parametrize("n_bytes", [0, 1, 65_536, 65_537, 1_000_001])
def test_blocks_of_any_size(tier, n_bytes):
    stored(tier, 1, n_bytes=n_bytes)
    assert read(tier, 1) == value(1, n_bytes)


def test_a_block_that_does_not_fit_its_memory_is_a_miss(tier):
    stored(tier, 1)
    short = room(9_999)
    assert tier.get_many([key(1)], [short]) == [None]
    assert short == b"\xaa" * 9_999
    assert tier.stats().counts.misses_too_large == 1


def test_one_block_asked_for_twice_in_a_call(tier):
    stored(tier, 1)
    found = tier.get_many([key(1)] * 5)
    assert [bytes(one) for one in found] == [value(1)] * 5
    assert tier.stats().counts.fetches == 1


def test_blocks_of_other_models_tenants_and_codecs_are_misses(tier):
    ours = Attributes(b"m" * 32, b"t" * 16, 3)
    assert tier.put(key(1), value(1), ours)
    assert tier.flush()
    others = [
        Attributes(b"M" * 32, b"t" * 16, 3),
        Attributes(b"m" * 32, b"T" * 16, 3),
        Attributes(b"m" * 32, b"t" * 16, 4),
    ]
    assert [tier.get_many([key(1)], None, other) for other in others] == [[None]] * 3
    assert tier.stats().counts.misses_foreign == 3
    assert tier.get_many([key(1)], None, ours)[0] == value(1)


def test_bad_arguments_are_refused(tier):
    with pytest.raises(UsageError, match="32"):
        tier.put(b"short", b"")
    with pytest.raises(UsageError, match="32"):
        tier.get(b"short")
    with pytest.raises(UsageError, match="buffers"):
        tier.get_many([key(1)], [])
    with pytest.raises(UsageError, match="contiguous"):
        tier.put(key(1), memoryview(b"abcd")[::2])


def test_too_large_a_block_is_not_put(running):
    with tier_on(running.url, max_block_bytes=1000) as tier:
        assert not tier.put(key(1), bytes(1001))
        assert tier.put(key(1), bytes(1000))
        assert tier.stats().counts.puts_too_large == 1


def test_a_put_copies(tier):
    mutable = bytearray(value(1))
    assert tier.put(key(1), mutable)
    mutable[:] = bytes(len(mutable))
    assert tier.flush()
    assert read(tier, 1) == value(1)


def test_many_keys_are_asked_for_at_once(tier):
    stored(tier, *range(0, 600, 2), n_bytes=10)
    known = tier.contains_many([key(number) for number in range(600)])
    assert known == [number % 2 == 0 for number in range(600)]
    assert tier.contains_many([]) == []
    counts = tier.stats().counts
    assert (counts.asked, counts.asked_known) == (600, 300)


def test_views_stay_as_they_are_while_others_are_read(tier):
    stored(tier, *range(8), n_bytes=200_000)
    held = tier.get(key(0))
    for number in range(1, 8):
        assert read(tier, number) == value(number, 200_000)
    assert held == value(0, 200_000)


def test_the_text_for_prometheus_tells_of_hits(tier):
    stored(tier, 1)
    read(tier, 1)
    assert "network_tier_hits_total 1" in tier.prometheus()


# Callers at once


def test_64_threads_want_one_block_and_one_fetch_is_made(tier):
    stored(tier, 1, n_bytes=100_000)
    with FaultProxy(int(tier.stats().nodes[0][0].rpartition(":")[2])) as proxy:
        proxy.fault = Fault(delay_s=0.5, drip_bytes=1 << 20)
        config = patient(f"valkey://127.0.0.1:{proxy.port}", chunk_bytes=64 << 10)
        with NetworkTier.open(config) as slow:
            found = run_on_threads(64, lambda number: read(slow, 1))
            assert found == [value(1, 100_000)] * 64
            assert slow.stats().counts.fetches == 1
            assert slow.stats().counts.hits == 64


def run_on_threads(count, work):
    results = [None] * count
    ready = threading.Barrier(count)

    def run(number):
        ready.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_writers_of_one_key_never_make_a_torn_block(running, tier):
    """Values say of every 32 bytes which version they are: a mixture is found by its sum."""
    versions = {value(1, 300_000, version) for version in range(2)}
    stop = time.monotonic() + 2.0

    def write(version):
        with tier_on(running.url, chunk_bytes=64 << 10) as writer:
            while time.monotonic() < stop:
                writer.put(key(1), value(1, 300_000, version))
                writer.flush()

    def look(_):
        seen = []
        while time.monotonic() < stop:
            found = tier.get(key(1))
            if found is not None:
                assert bytes(found) in versions
                seen.append(1)
        return len(seen)

    work = [write, write, look, look]
    counts = run_on_threads(4, lambda n: work[n](n))
    assert counts[2] + counts[3] > 0
    # Whoever writes last, alone, leaves a whole block.
    stored(tier, 1, n_bytes=300_000)
    assert read(tier, 1) == value(1, 300_000)


def test_a_mixture_of_puts_and_gets_tells_only_what_was_put(tier):
    def mix(number):
        dice = random.Random(number)
        for _ in range(60):
            which = dice.randrange(20)
            if dice.random() < 0.5:
                tier.put(key(which), value(which, 1000 * which))
            else:
                found = tier.get(key(which))
                assert found is None or bytes(found) == value(which, 1000 * which)
        return True

    assert run_on_threads(8, mix) == [True] * 8
    assert tier.flush()


# Outages


@contextlib.contextmanager
def breakable(**settings):
    """Run a server of this test's own, and a hasty tier on it that holds block 1."""
    with server(settings={"enable-debug-command": "yes"}) as one:
        with NetworkTier.open(hasty(one.url, **settings), required=True) as tier:
            stored(tier, 1)
            assert until(lambda: read(tier, 1) == value(1))
            yield one, tier
        tier.stats().check()


def is_miss_in_time(tier):
    started = time.monotonic()
    found = tier.get_many([key(1), key(2)])
    assert time.monotonic() - started < 0.25 + SLACK_S
    assert not tier.contains_many([key(1)])[0] or found[0] is not None
    return found == [None, None]


def test_a_frozen_server_is_missed_in_time_left_alone_and_found_again():
    with breakable() as (one, tier):
        os.kill(one.pid, signal.SIGSTOP)
        try:
            assert all(is_miss_in_time(tier) for _ in range(4))
            assert tier.health == "degraded"
            refused = tier.stats().counts.misses_refused
            assert is_miss_in_time(tier)
            assert tier.stats().counts.misses_refused == refused + 2
            assert not tier.put(key(3), b"x")
        finally:
            os.kill(one.pid, signal.SIGCONT)
        assert tier.wait_for_health(20.0)
        assert until(lambda: read(tier, 1) == value(1))


def test_a_sleeping_server_is_missed_in_time_and_found_again():
    with breakable() as (one, tier):
        with Valkey(port=one.port) as client:
            thread = threading.Thread(target=client.execute_command, args=("DEBUG", "SLEEP", "1.5"))
            thread.start()
            assert until(lambda: is_miss_in_time(tier))
            thread.join()
        assert tier.wait_for_health(20.0)
        assert until(lambda: read(tier, 1) == value(1))


def test_a_killed_server_is_missed_and_its_successor_taken():
    (port,) = free_ports(1)
    with NetworkTier.open(hasty(f"valkey://127.0.0.1:{port}")) as tier:
        for _ in range(2):
            with server(port=port) as one:
                assert tier.wait_for_health(20.0)
                stored(tier, 1)
                assert until(lambda: read(tier, 1) == value(1))
                os.kill(one.pid, signal.SIGKILL)
                assert until(lambda: is_miss_in_time(tier) and tier.health == "degraded")
    tier.stats().check()


def test_a_restart_between_two_requests_costs_no_more_than_the_blocks():
    (port,) = free_ports(1)
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(server(port=port))
        tier = stack.enter_context(tier_on(one.url))
        stored(tier, 1)
        assert run_on_threads(8, lambda _: read(tier, 1)) == [value(1)] * 8
        one.close()
        stack.enter_context(server(port=port))
        assert read(tier, 1) is None
        assert tier.health == "ok"
        assert tier.stats().counts.misses_absent == 1


def test_a_flushed_server_only_forgets():
    with breakable() as (one, tier):
        with Valkey(port=one.port) as client:
            client.flushall()
        assert read(tier, 1) is None
        assert tier.contains_many([key(1)]) == [False]
        assert tier.health == "ok"


def test_a_partition_is_an_outage_that_ends():
    with server() as one, FaultProxy(one.port) as proxy:
        with NetworkTier.open(hasty(f"valkey://127.0.0.1:{proxy.port}")) as tier:
            stored(tier, 1)
            proxy.fault = Fault(swallow=True)
            assert all(is_miss_in_time(tier) for _ in range(4))
            assert tier.health == "degraded"
            proxy.fault = Fault()
            assert tier.wait_for_health(20.0)
            assert until(lambda: read(tier, 1) == value(1))
        tier.stats().check()


def test_a_full_server_takes_no_writes_and_is_read_all_the_same():
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(server(settings={"maxmemory-policy": "noeviction"}))
        client = stack.enter_context(Valkey(port=one.port))
        tier = stack.enter_context(tier_on(one.url, full_pause_s=60.0))
        stored(tier, 1)
        client.config_set("maxmemory", 1 << 20)
        assert tier.put(key(2), value(2))
        assert tier.flush()
        assert tier.health == "full"
        assert not tier.put(key(3), value(3))
        assert read(tier, 1) == value(1)
        counts = tier.stats().counts
        assert (counts.out_of_memory, counts.puts_refused) == (1, 1)


def test_a_full_server_takes_writes_again_once_it_has_room():
    settings = {"maxmemory-policy": "noeviction", "maxmemory": 1 << 20}
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(server(settings=settings))
        client = stack.enter_context(Valkey(port=one.port))
        tier = stack.enter_context(tier_on(one.url, full_pause_s=0.1))
        tier.put(key(1), value(1))
        assert tier.flush()
        assert tier.stats().counts.out_of_memory == 1
        client.config_set("maxmemory", 256 << 20)
        assert until(lambda: tier.put(key(1), value(1)))
        assert tier.flush()
        assert read(tier, 1) == value(1)
        assert tier.health == "ok"


def test_a_server_that_evicts_makes_misses_and_no_wrong_blocks():
    with server() as one, Valkey(port=one.port) as client:
        base = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", base + (6 << 20))
        with tier_on(one.url, chunk_bytes=64 << 10) as tier:
            numbers = range(40)
            for number in numbers:
                tier.put(key(number), value(number, 300_000))
                tier.flush()
            found = [read(tier, number) for number in numbers]
            hits = [number for number in numbers if found[number] is not None]
            assert 0 < len(hits) < 40
            assert all(found[number] == value(number, 300_000) for number in hits)
            counts = tier.stats().counts
            assert counts.misses == counts.misses_absent + counts.misses_partial


def test_a_block_evicted_between_asking_and_getting_is_a_miss(running, tier):
    stored(tier, 1)
    assert tier.contains_many([key(1)]) == [True]
    with Valkey(port=running.port) as client:
        client.flushall()
    assert read(tier, 1) is None


# Budgets and ends


def test_a_call_is_over_by_its_budget():
    with ScriptedServer(as_usual) as scripted, NetworkTier.open(patient(scripted.url)) as tier:
        scripted.script = lambda words: None
        for budget_s in (0.0, -1.0, 0.05):
            started = time.monotonic()
            assert tier.get(key(1), budget_s=budget_s) is None
            assert tier.contains_many([key(1)], budget_s) == [False]
            assert time.monotonic() - started < 2 * max(0.0, budget_s) + SLACK_S
        assert tier.stats().counts.misses_late == 1
        assert tier.stats().counts.misses_refused == 2


def test_short_budgets_do_not_condemn_a_slow_server_but_a_dead_one():
    with server() as one, FaultProxy(one.port) as proxy:
        config = patient(f"valkey://127.0.0.1:{proxy.port}", breaker_wasted_s=0.5)
        with NetworkTier.open(config) as tier:
            stored(tier, 1)
            assert read(tier, 1) == value(1)
            proxy.fault = Fault(delay_s=0.2)
            for _ in range(3):
                assert tier.get(key(1), budget_s=0.01) is None
            assert tier.health == "ok"
            assert until(lambda: read(tier, 1) == value(1))
            proxy.fault = Fault(swallow=True)
            until(lambda: tier.get(key(1), budget_s=0.02) is None and tier.health == "degraded")
            assert tier.health == "degraded"


def test_what_comes_late_is_not_written_into_the_callers_memory():
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(server())
        proxy = stack.enter_context(FaultProxy(one.port))
        config = patient(f"valkey://127.0.0.1:{proxy.port}")
        tier = stack.enter_context(NetworkTier.open(config))
        stored(tier, 1)
        proxy.fault = Fault(delay_s=0.3)
        place = room()
        assert tier.get(key(1), place, budget_s=0.05) is None
        assert until(lambda: not tier.stats().flights)
        time.sleep(0.1)
        assert place == b"\xaa" * 10_000
        proxy.fault = Fault()
        assert until(lambda: read(tier, 1) == value(1))


def test_closing_writes_what_waits_and_ends_everything(running):
    before = threading.active_count()
    tier = NetworkTier.open(patient(running.url))
    assert tier.put(key(77), value(77))
    tier.close()
    tier.close()
    assert tier.health == "closed"
    assert tier.get(key(77)) is None
    assert not tier.put(key(77), b"")
    assert tier.contains_many([key(77)]) == [False]
    assert not tier.flush()
    assert until(lambda: threading.active_count() <= before)
    tier.stats().check()
    with tier_on(running.url) as again:
        assert read(again, 77) == value(77)


def test_a_forked_child_gets_misses_and_no_hang(tier):
    stored(tier, 1)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if tier.get(key(1)) is None and not tier.put(key(1), b"") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert read(tier, 1) == value(1)
