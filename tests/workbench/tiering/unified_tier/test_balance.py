"""Weights and KV compete for one budget: it holds at every step, and moves where the waiting is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from tests.workbench.tiering.unified_tier.layered_model import LayeredModel
from tests.workbench.tiering.unified_tier.opened import on_disk, serving
from workbench.errors import UsageError
from workbench.tiering.distributed_tier import EmbeddedServer
from workbench.tiering.unified_tier import AdjustableWeights, UnifiedTierConfig
from workbench.tiering.unified_tier.split import Split, Stalls

LAYERS = 8


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"), layers=LAYERS)


@pytest.fixture
def model(path):
    with LayeredModel(path) as model:
        assert isinstance(model, AdjustableWeights)
        yield model


def budget(model, n_blocks, share=0.6):
    """Return a RAM budget that a part of the weights and so many blocks fit into."""
    block = 64 * model.kv_geometry().bytes_per_token
    return int((share * model.weights_bytes + n_blocks * block) * 8 / 6)


def decode(tiers, n_tokens):
    """Feed single tokens, checking the bound at each; return the logits."""
    logits = []
    with tiers.session() as session:
        for number in range(n_tokens):
            logits.append(session.feed([number % 40]))
            held(tiers)
    return logits


def held(tiers):
    """Assert that no bound is broken now."""
    balance, config = tiers._serving.balance, tiers.config
    stats = tiers.cache.stats()
    ram = balance.weights_bytes + stats.hot_bytes
    assert ram <= balance.shared_bytes
    ssd, network = tiers._lower.ssd, tiers._lower.network
    if ssd is not None:
        told = ssd.stats()
        assert told.disk_bytes <= told.limit_bytes <= config.ssd_bytes
        assert told.pool_bytes <= tiers._plan.pool_bytes
        ram += stats.staging_bytes + told.pool_bytes
    if network is not None:
        told = network.stats()
        assert told.writes_waiting_bytes <= config.network_queue_bytes
        ram += told.writes_waiting_bytes + told.pool_bytes
    assert ram <= config.ram_bytes
    assert tiers._serving.model.needed_bytes <= balance.weights_bytes


@pytest.mark.parametrize("seed", range(3))
def test_no_bound_is_ever_broken_whatever_happens(model, tmp_path, seed):
    """Random texts, lengths, targets and demands, with every tier in use."""
    rng = np.random.default_rng(seed)
    queue = 1 << 20
    network = queue + (64 << 20)
    with EmbeddedServer(16 << 20) as server:
        settings = on_disk(
            tmp_path,
            ram_bytes=budget(model, 40) + network,
            ssd_bytes="192 MiB",
            network_url=server.url,
            network_queue_bytes=queue,
        )
        with serving(model, **settings) as tiers:
            sessions = []
            for _ in range(60):
                held(tiers)
                step = rng.integers(6)
                if step == 0 or not sessions:
                    sessions.append(tiers.session())
                elif step == 1:
                    sessions.pop(rng.integers(len(sessions))).close()
                elif step == 2:
                    balance = tiers._serving.balance
                    balance._split.aim(int(rng.integers(balance.shared_bytes)))
                    balance.settle()
                elif step == 3:
                    sessions[rng.integers(len(sessions))].persist()
                else:
                    one = sessions[rng.integers(len(sessions))]
                    room = 500 - len(one.token_ids)
                    if room > 1:
                        n_tokens = int(rng.integers(1, min(room, 200)))
                        one.feed(ids(n_tokens, seed=int(rng.integers(3))))
                tiers.cache.check()
            held(tiers)


def test_memory_goes_to_the_weights_when_they_are_waited_for(model, tmp_path):
    """Single tokens of short texts need every layer and hardly any KV."""
    settings = on_disk(tmp_path, ram_bytes=budget(model, 60), kv_min_frac=0.02)
    with serving(model, **settings) as tiers:
        balance = tiers._serving.balance
        balance._split.aim(balance.shared_bytes - int(0.6 * model.weights_bytes))
        balance.settle()
        before = balance.weights_bytes
        assert before < model.weights_bytes
        expected = decode(tiers, 200)
        assert tiers._serving.balance.weights_bytes > before
        assert tiers._serving.balance.n_moves > 0
    with serving(model, **on_disk(tmp_path / "again", ram_bytes=budget(model, 60))) as tiers:
        again = decode(tiers, 200)
    assert all(np.array_equal(one, other) for one, other in zip(expected, again, strict=True))


def test_memory_goes_to_kv_when_that_is_waited_for(model, tmp_path):
    """All weights fit beside the least KV; a long text's blocks are cold at every token."""
    block = 64 * model.kv_geometry().bytes_per_token
    settings = on_disk(tmp_path, ram_bytes=int((model.weights_bytes + 9 * block) * 8 / 6))
    with serving(model, **settings, kv_min_frac=0) as tiers:
        balance = tiers._serving.balance
        before = balance.target_bytes
        with tiers.session() as session:
            session.feed(ids(400))
            assert tiers.cache.drain()
            for number in range(3 * 32):
                # The waits are the device's own where it is slow; here they are stated.
                balance.waited(1.0)
                session.feed([number % 40])
                held(tiers)
        assert balance.target_bytes > before
        assert balance.weights_bytes < model.weights_bytes


def test_without_a_folder_kv_is_never_less_than_what_is_open(model):
    """Nothing could take blocks that leave, so weights give way, however much they are missed."""
    with serving(model, ram_bytes=budget(model, 12), kv_min_frac=0) as tiers:
        balance = tiers._serving.balance
        with tiers.session() as session:
            session.feed(ids(480))
            for number in range(20):
                balance._split.observe(Stalls(1.0, 0.0, 1.0))
                balance.settle()
                session.feed([number])
                held(tiers)


def test_a_budget_too_small_for_the_model_is_refused(model):
    with pytest.raises(UsageError, match="weights_budget"), serving(model, ram_bytes="2 MiB"):
        pass
    with pytest.raises(UsageError, match="raise it"), serving(model, ram_bytes="20 KiB"):
        pass


def test_weights_that_cannot_shrink_keep_what_they_have(model, tmp_path):
    settings = on_disk(tmp_path, ram_bytes=budget(model, 40), kv_max_frac=1)
    with serving(model, **settings) as tiers:
        balance = tiers._serving.balance
        balance._split.aim(balance.shared_bytes)
        balance.settle()
        held(tiers)
        assert balance.target_bytes < balance.shared_bytes
        decode(tiers, 20)


def test_a_model_without_a_budget_leaves_all_of_it_to_kv(path):
    config = UnifiedTierConfig(ram_bytes="8 MiB")
    from workbench.inference.llama import LlamaModel

    with LlamaModel.open(path, threads=1) as model, serving(model, ram_bytes="8 MiB") as tiers:
        if not isinstance(model, AdjustableWeights):
            assert tiers.cache.hot_bytes > config.ram_bytes * 0.8
    assert Split(1, 2, 1, 1).kv_bytes == 1
