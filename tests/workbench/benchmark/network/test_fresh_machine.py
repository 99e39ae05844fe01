"""A fresh machine finds what another one shared, and nothing else; answers are equal to the bit."""

from __future__ import annotations

import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.network.fresh_machine import ask, fresh_machine, scratch_bytes
from workbench.inference.llama import LlamaModel
from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig

PROMPT = [(7 * n) % 30 + 1 for n in range(131)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with LlamaModel.open(write_model(tmp_path_factory.mktemp("model"))) as one:
        yield one


def patient(url):
    """Return a configuration for which a busy machine is not a dead server."""
    return NetworkTierConfig(url, connect_timeout_s=10.0, op_timeout_s=10.0)


def asked(model, folder, network, prompt=PROMPT):
    with fresh_machine(model, folder, len(prompt) + 4, network) as cache:
        return ask(model, cache, prompt, 4)


def test_only_what_was_shared_is_found(model, disk_folder):
    with EmbeddedServer() as server, NetworkTier.open(patient(server.url)) as network:
        first = asked(model, disk_folder, network)
        assert network.flush()
        second, alone = (asked(model, disk_folder, tier) for tier in (network, None))
    assert (first.resumed_tokens, second.resumed_tokens, alone.resumed_tokens) == (0, 128, 0)
    assert (first.brought_blocks, second.brought_blocks) == (0, 2)
    assert first.digest == second.digest == alone.digest
    assert len(second.token_ids) == 4
    assert second.token_ids == alone.token_ids
    assert list(disk_folder.iterdir()) == []


def test_another_prompt_has_another_digest(model, disk_folder):
    other = [*PROMPT[:-1], PROMPT[-1] + 1]
    digests = {asked(model, disk_folder, None, ids).digest for ids in (PROMPT, other)}
    assert len(digests) == 2


def test_the_folder_goes_whatever_happens(model, disk_folder):
    with (
        pytest.raises(RuntimeError, match="in the middle"),
        fresh_machine(model, disk_folder, 64, None),
    ):
        raise RuntimeError("in the middle")
    assert list(disk_folder.iterdir()) == []
    assert scratch_bytes(model, 1000) > 1000 * model.kv_geometry("float16").bytes_per_token
