"""Stand in for llama.cpp where it is not built: the same calls, answered by our own engine."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from workbench.benchmark.inference.own_engine import OwnEngine
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import Memory, PeerSettings


class StandIn(LlamaCppPeer):
    """Answers as a peer; its state file is its text, and restoring it reads that."""

    def __init__(self, settings: PeerSettings) -> None:
        self.settings = settings
        self._engine = OwnEngine(settings)

    @classmethod
    def available(cls) -> bool:
        return True

    def load_seconds(self, settings):
        return self._engine.load_seconds()

    def prefill_seconds(self, ids):
        return self._engine.prefill_seconds(ids)

    def decode(self, n_tokens, first_id=None):
        return self._engine.decode(n_tokens, first_id)

    def decode_seconds(self, n_tokens, first_id=None):
        return self._engine.decode_seconds(n_tokens, first_id)

    def truncate(self, n_tokens):
        self._engine.truncate(n_tokens)

    def use_threads(self, threads):
        self._engine.use_threads(threads)

    def memory(self):
        return Memory(1 << 20, 1 << 20, 100 << 20)

    def save_state_seconds(self, path: Path, *, sync: bool = True) -> float:
        path.write_bytes(np.array(self._engine.sequence.token_ids, np.int32).tobytes() * 100)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        return 0.01

    def load_state_seconds(self, path: Path) -> float:
        start = perf_counter()
        path.read_bytes()
        return perf_counter() - start

    def close(self):
        self._engine.close()


class Unavailable(LlamaCppPeer):
    """llama.cpp where nobody built it."""

    @classmethod
    def available(cls) -> bool:
        return False


@pytest.fixture
def no_peers(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_PEERS", str(tmp_path / "no peers"))


__all__ = ["StandIn", "Unavailable", "no_peers"]
