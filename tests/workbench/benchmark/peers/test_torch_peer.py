"""TorchPeer: the real engine where it is installed; how to get it where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.peers.process import PeerError
from workbench.benchmark.peers.torch_peer import TorchPeer
from workbench.inference.model_file import model_file


def test_without_it_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_PEERS", str(tmp_path))
    with pytest.raises(PeerError, match=r"transformers is not installed here; .* PEERS='llama tor"):
        TorchPeer(PeerSettings(tmp_path / "model.gguf", 64))


@pytest.mark.peer("torch")
def test_a_context_can_be_cut_back() -> None:
    with TorchPeer(PeerSettings(model_file("smollm2-135m"), context_tokens=64)) as peer:
        ids = [504, 3575, 282, 4649, 314]
        assert peer.prefill_seconds(ids) > 0
        best = int(np.argmax(peer.logits()))
        first = peer.decode(4)
        peer.truncate(len(ids))
        assert peer.decode(4, first_id=best).ids == first.ids
        peer.reset()
        with pytest.raises(PeerError, match="65 tokens do not fit a context of 64"):
            peer.prefill_seconds([1] * 65)
