"""The torch worker: what its engine is asked before it has a model."""

from __future__ import annotations

import pytest

from workbench import paths
from workbench.benchmark.peers.peer import START, folder
from workbench.benchmark.peers.process import PeerError, PeerProcess


@pytest.mark.peer("torch")
def test_without_a_model_every_call_is_an_error() -> None:
    python = str(folder() / "venv/bin/python")
    worker = "workbench.benchmark.peers.torch_worker"
    process = PeerProcess([python, "-I", "-c", START, str(paths.root()), worker], {})
    try:
        with pytest.raises(PeerError, match="no model is loaded"):
            process.call("prefill", 120, ids=[1])
        with pytest.raises(PeerError, match="nothing to go on from"):
            process.call("decode", 120, n_tokens=1, first_id=None)
    finally:
        process.close()
