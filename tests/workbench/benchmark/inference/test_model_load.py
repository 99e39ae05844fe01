"""Loading to the first token, in turns with a peer; compiling apart, in a process of its own."""

from __future__ import annotations

import pytest

from tests.workbench.benchmark.stand_in_peer import StandIn, no_peers  # noqa: F401
from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import model_load
from workbench.benchmark.inference.model_load import CompileError, LoadPlan
from workbench.benchmark.inference.own_engine import OURS


@pytest.mark.usefixtures("no_peers")
def test_without_the_peer_ours_is_loaded_alone(tmp_path):
    samples = model_load.measure(write_model(tmp_path), LoadPlan(64, 10))
    assert set(samples.seconds) == {OURS}
    assert (samples.seconds[OURS] > 0).all()


def test_a_peer_is_loaded_in_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(model_load, "LlamaCppPeer", StandIn)
    samples = model_load.measure(write_model(tmp_path), LoadPlan(64, 10))
    assert set(samples.seconds) == {OURS, "llama.cpp"}


def test_a_process_that_fails_to_compile_says_why(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    with pytest.raises(CompileError, match=r"process of their own: .*GGUFError"):
        model_load.compile_s(broken)
