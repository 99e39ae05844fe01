"""Tiers that fail under a session: misses only, the same logits, and a status that says so."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from tests.workbench.tiering.unified_tier.opened import on_disk, serving
from workbench.inference.llama import LlamaModel
from workbench.tiering.async_io.fault_io import FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.distributed_tier import EmbeddedServer
from workbench.tiering.unified_tier import Health, UnifiedTier, UnifiedTierConfig
from workbench.tiering.unified_tier.events import Kind

WAIT_S = 30.0


@pytest.fixture
def model(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        yield model


def texts(tiers, between=lambda: None):
    """Feed a text, let something happen, feed on, come back to it; return all logits."""
    with tiers.session() as session:
        found = [session.feed(ids(150))]
        between()
        found += [session.feed([number]) for number in range(30)]
    with tiers.session() as session:
        found.append(session.feed(ids(150)))
    return found


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["error", "short", "flip"])
def test_a_disk_that_fails_leaves_memory_alone_with_the_same_result(model, tmp_path, kind):
    with serving(model) as tiers:
        expected = texts(tiers)
    faults = Faults(seed=1)
    engine = FaultIO(open_engine(), faults)
    config = UnifiedTierConfig(**on_disk(tmp_path))

    def breaks():
        for op in ("read", "write"):
            faults.add(Fault(kind, op, nth=1, times=10**6))

    with UnifiedTier(config, engine=engine) as tiers:
        tiers.serve(model)
        logits = texts(tiers, breaks)
        with tiers.session("kept") as session:
            session.feed(ids(100, seed=5))
        if kind != "flip":
            assert tiers._watch.wait_for("ssd", Health.DEGRADED, WAIT_S)
            assert tiers.status().health is Health.DEGRADED
            assert tiers.status()["ssd"].reason
            assert tiers.events[-1].kind is not Kind.HEALTHY
            assert Kind.DEGRADED in [event.kind for event in tiers.events]
        tiers.cache.check()
    engine.close()
    assert same(logits, expected)


def test_a_server_that_is_killed_leaves_the_disk_with_the_same_result(model, tmp_path):
    with serving(model) as tiers:
        expected = texts(tiers)
    with EmbeddedServer(16 << 20) as server:
        settings = on_disk(tmp_path, network_url=server.url)
        with serving(model, **settings) as tiers:
            assert tiers.status().health is Health.HEALTHY

            def dies():
                os.kill(server.pid, signal.SIGKILL)
                assert tiers._watch.wait_for("network", Health.OFF, WAIT_S)

            assert same(texts(tiers, dies), expected)
            status = tiers.status()
            assert status.health is Health.DEGRADED
            assert status["ssd"].health is Health.HEALTHY
            assert tiers.cache.stats().misses_failed == 0


def test_events_and_pages_hold_no_secret(model, tmp_path):
    hidden = "hush"
    with EmbeddedServer(16 << 20) as server:
        url = server.url.replace("://", "://me:" + hidden + "@")
        settings = on_disk(tmp_path, network_url="valkey://127.0.0.1:1", tenant=hidden)
        with serving(model, **settings, event_log=tmp_path / "events") as tiers:
            texts(tiers)
            assert tiers._watch.wait_for("network", Health.OFF, WAIT_S)
            said = [repr(tiers.events), tiers.prometheus(), repr(tiers.status())]
    said += [
        (tmp_path / "events").read_text(),
        repr(UnifiedTierConfig(ssd_folder=tmp_path, network_url=url)),
    ]
    assert not any(hidden in one for one in said)
