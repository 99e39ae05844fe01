"""The llama.cpp worker's own settings: threads, KV types, loading again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.peers.process import PeerError
from workbench.inference.model_file import model_file

# "The capital of France is"
IDS = [504, 3575, 282, 4649, 314]


@pytest.mark.peer("llama_cpp")
def test_a_model_is_loaded_again_with_other_settings() -> None:
    settings = PeerSettings(model_file("smollm2-135m"), context_tokens=256)
    with LlamaCppPeer(settings) as peer:
        peer.prefill_seconds(IDS)
        halves = peer.memory().anonymous_bytes
        best = peer.logits().argmax()
        assert peer.load_seconds(replace(settings, context_tokens=2048, kv_dtype="float32")) > 0
        peer.prefill_seconds(IDS)
        # 2048 tokens of 45 KiB instead of 256 of 22.5 KiB.
        assert peer.memory().anonymous_bytes - halves > 40 << 20
        assert peer.logits().argmax() == best
        peer.use_threads(2)
        peer.reset()
        peer.prefill_seconds(IDS)
        with pytest.raises(PeerError, match="could not load the model"):
            peer.load_seconds(replace(settings, model=settings.model.with_name("none.gguf")))
        with pytest.raises(PeerError, match="no model is loaded"):
            peer.prefill_seconds(IDS)
