"""Peer: what every engine is asked, against a worker that counts instead of computing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from workbench import paths
from workbench.benchmark.peers.peer import START, Peer, PeerSettings, folder
from workbench.benchmark.peers.process import PeerError

# An engine whose best next token is the context's length.
ENGINE = """
from workbench.benchmark.peers.serving import memory, serve
context = []

def load(model, context_tokens, threads, flash_attention, kv_dtype):
    if not model.endswith("/some.gguf"):
        raise ValueError("no such model")
    assert (context_tokens, threads, flash_attention, kv_dtype) == (64, 2, False, "float16")
    return 0.25

def prefill(ids):
    context.extend(ids)
    return 0.5 * len(ids)

def decode(n_tokens, first_id):
    ids = []
    for step in range(n_tokens):
        context.append(first_id if step == 0 and first_id is not None else len(context))
        ids.append(len(context))
    return {"ids": ids, "seconds": [0.125] * n_tokens}

def truncate(n_tokens):
    del context[n_tokens:]

def use_threads(threads):
    context.append(100 * threads)

serve({"load": load, "prefill": prefill, "decode": decode, "truncate": truncate,
       "use_threads": use_threads, "logits": lambda: context, "memory": memory})
"""
SETTINGS = PeerSettings(Path("some.gguf"), context_tokens=64, threads=2)


class CountingPeer(Peer):
    name = "the counting engine"
    worker = "counting_worker"
    package = "counting"
    enable = "make counting"

    def _command(self) -> list[str]:
        return [sys.executable, "-c", ENGINE]

    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(paths.root())}


@pytest.fixture(autouse=True)
def peers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a folder of the test's own be what `make peers` fills, and the engine installed there."""
    monkeypatch.setenv("WORKBENCH_PEERS", str(tmp_path))
    (tmp_path / ".counting").touch()
    return tmp_path


@pytest.fixture
def peer() -> Iterator[CountingPeer]:
    with CountingPeer(SETTINGS) as engine:
        yield engine


def test_a_context_grows_by_prefill_and_decode_and_shrinks(peer: CountingPeer) -> None:
    assert peer.prefill_seconds([7, 8]) == 1.0
    decoded = peer.decode(3)
    assert decoded.ids == [3, 4, 5]
    assert decoded.seconds.tolist() == [0.125] * 3
    assert peer.logits().tolist() == [7, 8, 2, 3, 4]
    assert peer.logits().dtype == "float32"
    peer.truncate(1)
    assert peer.decode_seconds(2, first_id=0) == 0.25
    assert peer.logits().tolist() == [7, 0, 2]
    peer.reset()
    peer.use_threads(2)
    assert peer.logits().tolist() == [200]


def test_memory_and_loading_are_told(peer: CountingPeer) -> None:
    memory = peer.memory()
    assert 0 < memory.anonymous_bytes <= memory.resident_bytes <= memory.peak_bytes
    assert peer.load_seconds(SETTINGS) == 0.25


def test_a_model_that_cannot_be_loaded_is_an_error_and_ends_the_engine() -> None:
    with pytest.raises(PeerError, match="load: ValueError: no such model"):
        CountingPeer(replace(SETTINGS, model=Path("other.gguf")))


def test_an_engine_that_is_not_installed_says_how_to_get_it(peers_folder: Path) -> None:
    (peers_folder / ".counting").unlink()
    assert not CountingPeer.available()
    with pytest.raises(PeerError, match=r"counting engine is not installed here; .* make count"):
        CountingPeer(SETTINGS)


def test_the_peers_lie_in_the_checkout_unless_moved(
    peers_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder() == peers_folder
    monkeypatch.delenv("WORKBENCH_PEERS")
    assert folder() == paths.root() / ".peers"


def test_a_worker_finds_this_package_and_nothing_else_of_the_checkout() -> None:
    worker = (
        "import sys, importlib.util as u; print(u.find_spec('kernels'), u.find_spec('serving'))"
    )
    start = START.replace("runpy.run_module(worker, run_name='__main__')", worker)
    assert start != START
    for code, said in ((start, "None None\n"), (START, "")):
        command = [sys.executable, "-I", "-S", "-c", code, str(paths.root())]
        ended = subprocess.run(
            [*command, "workbench.benchmark.peers.serving"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout == said
