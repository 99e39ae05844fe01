"""Blocks shared over the network: brought whole, from the front, and only what is theirs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.network.tiers import patient, server, until
from tests.workbench.inference.tiny_models import ids, write_model
from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import config, ssd_on
from workbench import paths
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.distributed_tier import NetworkTier
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.ssd_tier import Attributes, SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import CacheConfig, Tier, TieredKVCache
from workbench.tiering.tiered_kv_cache import cache as cache_module
from workbench.tiering.tiered_kv_cache.block_key import frame_key
from workbench.tiering.tiered_kv_cache.shared_store import Budget, SharedStore
from workbench.tiering.unified_tier import session as session_module
from workbench.tiering.unified_tier.load_or_recompute import Always, Way
from workbench.tiering.unified_tier.session import Session

MIB = 1 << 20
KEYS = [bytes([number]) * 32 for number in range(1, 7)]
OURS = Attributes(b"f" * 32, b"t" * 16, 3)


@pytest.fixture(scope="module")
def running():
    with server() as one:
        yield one


@pytest.fixture
def network(running):
    with NetworkTier.open(patient(running.url, namespace=f"t{time.monotonic_ns()}")) as tier:
        yield tier


@contextlib.contextmanager
def shared(network):
    with ssd_on(sim_disk()) as (ssd, _):
        yield SharedStore(ssd, network), ssd


def content(key, frame):
    return key + bytes([frame]) * 5000


def write(store, network, keys, attributes=OURS):
    stored = store.put_many(
        (frame_key(key, frame), content(key, frame), attributes)
        for key in keys
        for frame in range(2)
    )
    assert all(stored)
    assert network.flush()


def found(ssd, key):
    return [ssd.get(frame_key(key, frame)) for frame in range(2)]


def test_what_one_store_writes_another_one_brings_with_its_attributes(network):
    written = Attributes(b"f" * 32, b"t" * 16, 3, plain_bytes=77_777)
    with shared(network) as (first, _), shared(network) as (second, ssd):
        write(first, network, KEYS, written)
        assert len(second.bring(KEYS, 2, OURS, Budget(20.0, 20.0))) == 6
        for key in KEYS:
            assert found(ssd, key) == [content(key, frame) for frame in range(2)]
        (frame,) = ssd.get_frames([frame_key(KEYS[0], 1)])
        assert frame.header.attributes() == written
        assert second.brought_blocks == 6
        assert second.brought_bytes == 6 * 2 * len(content(KEYS[0], 0))
        assert len(second.bring(KEYS, 2, OURS, Budget(20.0, 20.0))) == 0


def test_a_prefix_is_brought_up_to_the_first_block_that_is_not_whole(network, running):
    with shared(network) as (first, _), shared(network) as (second, ssd):
        write(first, network, [*KEYS[:3], *KEYS[4:]])
        write(second, network, KEYS[:1])
        assert len(second.bring(KEYS, 2, OURS, Budget(20.0, 20.0))) == 2
        assert [found(ssd, key)[0] is not None for key in KEYS] == [True] * 3 + [False] * 3


def test_another_tenant_s_blocks_are_not_brought(network):
    with shared(network) as (first, _), shared(network) as (second, ssd):
        write(first, network, KEYS)
        other = Attributes(b"f" * 32, b"x" * 16, 3)
        assert len(second.bring(KEYS, 2, other, Budget(20.0, 20.0))) == 0
        assert found(ssd, KEYS[0]) == [None, None]


def test_nothing_comes_without_time_or_without_a_network(network):
    with shared(network) as (first, _), shared(network) as (second, _):
        write(first, network, KEYS)
        assert len(second.bring(KEYS, 2, OURS, Budget(0.0, 0.0))) == 0
        network.close()
        assert len(second.bring(KEYS, 2, OURS, Budget(20.0, 20.0))) == 0
        write_alone = second.put_many([(KEYS[0], b"x", OURS)])
        assert write_alone == [True]


def test_a_store_that_is_broken_brings_nothing(network, monkeypatch):
    def refuse(key):
        raise StorageError("forked")

    with shared(network) as (store, _):
        monkeypatch.setattr(SsdTier, "contains", lambda self, key: refuse(key))
        assert len(store.bring(KEYS, 2, OURS, Budget(20.0, 20.0))) == 0


def test_everything_else_is_the_ssd_tier_s(network):
    with shared(network) as (store, ssd):
        write(store, network, KEYS[:1])
        name = frame_key(KEYS[0], 0)
        assert store.contains_all([name])
        assert store.get_many([name], None, OURS)[0] == content(KEYS[0], 0)
        assert store.stats().blocks == ssd.stats().blocks == 2
        assert store.flush()
        assert store.delete(name)
        assert not store.contains_all([name])


def test_a_network_without_an_ssd_is_refused(network):
    with pytest.raises(UsageError, match="SSD"):
        TieredKVCache(config(), network=network)


def test_asking_ahead_finds_what_the_network_has_and_brings_nothing(network):
    with shared(network) as (first, _), shared(network) as (second, ssd):
        write(first, network, [*KEYS[:3], *KEYS[4:]])
        assert second.reachable(KEYS, 2, 20.0) == 3
        assert second.reachable(KEYS, 2, 0.0) == 0
        assert found(ssd, KEYS[0]) == [None, None]


# A model


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@contextlib.contextmanager
def session_on(path, folder, network):
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(LlamaModel.open(path, threads=1))
        settings = SsdTierConfig(64 * MIB, segment_bytes=4 * MIB, pool_bytes=8 * MIB)
        ssd = stack.enter_context(SsdTier.open(folder, settings))
        geometry: KVGeometry = model.kv_geometry("float16")
        limits = CacheConfig(geometry, 4 * MIB, block_tokens=16, staging_bytes=4 * MIB)
        cache = stack.enter_context(
            TieredKVCache(limits, ssd, network=network, fingerprint=model.fingerprint)
        )
        yield stack.enter_context(Session(model, cache)), cache


def texts(session):
    """Feed a prompt and then single tokens, as decoding does; return all logits."""
    return [session.feed(ids(80)), *(session.feed([number]) for number in range(12))]


@pytest.fixture
def unhurried(monkeypatch):
    """Let what a loaded machine may miss be long: the limits that do not depend on computing."""
    monkeypatch.setattr(cache_module, "_BRING_S", 20.0)
    monkeypatch.setattr(session_module, "_NETWORK_REQUEST_S", 20.0)


@pytest.mark.usefixtures("unhurried")
def test_one_process_s_prefill_warms_another_one(path, tmp_path, running):
    """The other process is a real one, with a store and a network tier of its own."""
    namespace = f"two{os.getpid()}"
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.workbench.tiering.tiered_kv_cache import test_shared_store as t\n"
        "with t.NetworkTier.open(t.patient(sys.argv[1], namespace=sys.argv[2])) as network:\n"
        "    with t.session_on(Path(sys.argv[3]), Path(sys.argv[4]), network) as (one, cache):\n"
        "        one.feed(t.ids(80))\n"
        "        assert cache.drain()\n"
        "    assert network.flush()\n"
    )
    words = [running.url, namespace, path, tmp_path / "theirs"]
    command = [sys.executable, "-c", code, *map(str, words)]
    subprocess.run(command, check=True, cwd=paths.root(), timeout=240)
    with session_on(path, tmp_path / "alone", None) as (session, _):
        expected = texts(session)
    with (
        NetworkTier.open(patient(running.url, namespace=namespace)) as network,
        session_on(path, tmp_path / "ours", network) as (session, cache),
    ):
        logits = texts(session)
        assert session.resumed_tokens == 64
        assert cache.brought_blocks == 4
        assert cache.stats().network_hits == 4
        assert cache.stats().cold_hits == 0
        assert Tier.NETWORK not in cache.match_prefix(ids(80), 20.0).tiers
        cache.check()
    assert all(np.array_equal(one, other) for one, other in zip(logits, expected, strict=True))
    with (
        NetworkTier.open(patient(running.url, namespace=namespace)) as network,
        session_on(path, tmp_path / "empty", network) as (_, cache),
    ):
        assert cache.match_prefix(ids(80)).n_tokens == 0
        ahead = cache.match_prefix(ids(80), 20.0)
        assert ahead == (80, (Tier.NETWORK,) * 5)
        assert cache.brought_blocks == 0


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize(("token_s", "n_blocks"), [(1e-9, 0), (60.0, 4)])
def test_the_network_has_no_more_time_than_computing_is_worth(path, tmp_path, token_s, n_blocks):
    with server() as one, NetworkTier.open(patient(one.url)) as network:
        with session_on(path, tmp_path / "first", network) as (session, cache):
            session.feed(ids(80))
            assert cache.drain()
            assert network.flush()
        with session_on(path, tmp_path / "second", network) as (session, cache):
            costs = Always(1, Way.LOAD)
            costs.computed(0, 64, 64 * token_s)
            with Session(session._model, cache, chooser=costs) as other:
                other.feed(ids(80))
            assert cache.brought_blocks == cache.stats().network_hits == n_blocks


@pytest.mark.parametrize(
    ("token_s", "deadline_s", "given"),
    [
        (1e-9, None, Budget(0.5 * 79e-9, 0.5 * 79e-9)),
        (1e-3, None, Budget(0.5 * 79e-3, 0.5 * 79e-3)),
        (2e-3, None, Budget(0.5 * 79 * 2e-3, 0.05)),
        (60.0, None, Budget(0.5, 0.05)),
        (60.0, 0.3, Budget(0.15, 0.05)),
        (None, None, Budget(0.5, 0.5)),
    ],
)
def test_its_limits_are_half_of_computing_half_a_second_and_50_ms_a_request(
    path, tmp_path, network, monkeypatch, token_s, deadline_s, given
):
    asked: list[Budget] = []

    def bring(self, keys, n_frames, attributes, budget):
        asked.append(budget)
        return []

    monkeypatch.setattr(SharedStore, "bring", bring)
    with session_on(path, tmp_path / "store", network) as (session, cache):
        costs = Always(1, Way.LOAD)
        if token_s is not None:
            costs.computed(0, 79, 79 * token_s)
        with Session(session._model, cache, deadline_s, chooser=costs) as other:
            other.feed(ids(80))
    (budget,) = asked
    assert budget == pytest.approx(given, rel=1e-6)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_network_that_dies_in_the_middle_changes_no_logit(path, tmp_path, blow):
    with session_on(path, tmp_path / "alone", None) as (session, _):
        expected = texts(session)
    with server() as one, NetworkTier.open(patient(one.url, op_timeout_s=0.2)) as network:
        with session_on(path, tmp_path / "first", network) as (session, cache):
            logits = [session.feed(ids(80))]
            assert cache.drain()
            assert network.flush()
            os.kill(one.pid, blow)
            logits += [session.feed([number]) for number in range(12)]
        with session_on(path, tmp_path / "second", network) as (session, cache):
            again = texts(session)
            assert (session.resumed_tokens, cache.brought_blocks) == (0, 0)
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGCONT)
    for found_logits in (logits, again):
        assert all(np.array_equal(a, b) for a, b in zip(found_logits, expected, strict=True))


def test_a_network_that_dies_while_blocks_are_brought_changes_no_logit(path, tmp_path):
    with session_on(path, tmp_path / "alone", None) as (session, _):
        expected = texts(session)
    with server() as one, NetworkTier.open(patient(one.url, op_timeout_s=0.2)) as network:
        with session_on(path, tmp_path / "first", network) as (session, cache):
            session.feed(ids(80))
            assert cache.drain()
            assert network.flush()
        killer = threading.Timer(0.001, os.kill, (one.pid, signal.SIGKILL))
        with session_on(path, tmp_path / "second", network) as (session, _):
            killer.start()
            logits = texts(session)
        killer.join()
        assert until(lambda: network.get(KEYS[0]) is None)
    assert all(np.array_equal(a, b) for a, b in zip(logits, expected, strict=True))
