"""Peak memory: ours in a fresh process, a peer's as it says."""

from __future__ import annotations

import pytest

from tests.workbench.benchmark.stand_in_peer import StandIn, no_peers  # noqa: F401
from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import peak_memory
from workbench.benchmark.inference.peak_memory import PeakError


@pytest.mark.usefixtures("no_peers")
def test_a_fresh_process_is_measured_and_no_peer_is_asked(tmp_path):
    found = peak_memory.measure(write_model(tmp_path), context_tokens=20, runs=1)
    # An interpreter with Numba in it is never smaller.
    assert 50e6 < found.ours_bytes.item() < 4e9
    assert found.peer_bytes.size == 0


def test_a_peer_is_asked_as_often(tmp_path, monkeypatch):
    monkeypatch.setattr(peak_memory, "LlamaCppPeer", StandIn)
    monkeypatch.setattr(peak_memory, "_own_peak_apart", lambda model, tokens, seed: 50 << 20)
    found = peak_memory.measure(write_model(tmp_path), context_tokens=20, runs=2)
    assert (found.peer_bytes / found.ours_bytes).tolist() == [2, 2]


def test_a_process_that_fails_is_named(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    with pytest.raises(PeakError, match="GGUFError"):
        peak_memory.measure(broken, context_tokens=20, runs=1)
