"""Failures below memory are noticed, told as events, and over when they are over."""

from __future__ import annotations

import os
import signal

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import ssd_on
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig
from workbench.tiering.unified_tier.events import Events, Kind
from workbench.tiering.unified_tier.status import Health
from workbench.tiering.unified_tier.watch import LOOK_EVERY_S, Watch

# Generous: other processes may have this machine. What it takes by design is below.
WAIT_S = 30.0


def test_by_design_it_takes_less_than_a_second():
    config = NetworkTierConfig("valkey://127.0.0.1:1")
    a_failure_s = config.op_timeout_s + config.connect_timeout_s
    assert config.breaker_failures * LOOK_EVERY_S + a_failure_s < 1


def test_nothing_below_is_nothing_to_tell():
    with Events() as events, Watch(None, None, events) as watch:
        assert {name: state.health for name, state in watch.look().items()} == {
            "ssd": Health.OFF,
            "network": Health.OFF,
        }
        assert events.last() == []


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_nobody_asks_is_missed_all_the_same(blow):
    with (
        Events() as events,
        EmbeddedServer(16 << 20) as server,
        NetworkTier.open(NetworkTierConfig(server.url)) as network,
        Watch(None, network, events) as watch,
    ):
        assert watch.look()["network"].health is Health.HEALTHY
        pid = server.pid
        os.kill(pid, blow)
        assert watch.wait_for("network", Health.OFF, WAIT_S)
        assert watch.look()["network"].reason
        told = events.last()[-1]
        assert (told.kind, told.tier) == (Kind.OFF, "network")
        if blow == signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)
            assert watch.wait_for("network", Health.HEALTHY, WAIT_S)
            assert events.last()[-1].kind is Kind.HEALTHY


@pytest.mark.parametrize("op", ["read", "write"])
def test_a_disk_that_fails_is_degraded_until_it_has_not_for_a_while(op, caplog):
    clock = VirtualClock()
    with ssd_on(sim_disk()) as (ssd, faults), Events() as events:
        assert ssd.put(b"k" * 32, b"v")
        with Watch(ssd, None, events, clock) as watch:
            assert watch.look()["ssd"].health is Health.HEALTHY
            faults.add(Fault("error", op, nth=1, times=1))
            if op == "read":
                assert ssd.get(b"k" * 32) is None
            else:
                assert not ssd.put(b"m" * 32, b"v")
            health, reason = watch.look()["ssd"]
            assert health is Health.DEGRADED
            assert f"1 {op}s" in reason
            clock.sleep(11.0)
            assert watch.look()["ssd"] == (Health.HEALTHY, "")
            kinds = [event.kind for event in events.last()]
            assert kinds == [Kind.DEGRADED, Kind.HEALTHY]
            said = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
            assert said == [f"ssd tier: degraded {reason}", "ssd tier: healthy"]


def test_a_disk_that_takes_no_writes_says_why():
    with ssd_on(sim_disk()) as (ssd, faults), Events() as events:
        faults.add(Fault("error", "write", nth=1, times=10**6))
        for number in range(6):
            assert not ssd.put(bytes([number]) * 32, b"v")
        with Watch(ssd, None, events) as watch:
            health, reason = watch.look()["ssd"]
            assert (health, reason[:15]) == (Health.DEGRADED, "takes no writes")
            ssd.close()
            assert watch.look()["ssd"] == (Health.OFF, "closed")
