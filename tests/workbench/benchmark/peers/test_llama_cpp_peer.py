"""LlamaCppPeer: the real engine where it is installed; how to get it where it is not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from workbench import paths
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.peers.process import PeerError
from workbench.inference.model_file import model_file
from workbench.inference.tokenizer import read_tokenizer
from workbench.tiering.mmap_gguf import read_header

TEXTS = ["The capital of France is", " 12 345\n\n<|im_end|> \u00e9\U0001f642", ""]


@pytest.fixture(scope="module")
def peer() -> Iterator[LlamaCppPeer]:
    settings = PeerSettings(model_file("smollm2-135m"), context_tokens=256)
    with LlamaCppPeer(settings) as engine:
        yield engine


def test_without_it_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_PEERS", str(tmp_path))
    with pytest.raises(PeerError, match=r"llama\.cpp is not installed here; to enable: make peers"):
        LlamaCppPeer(PeerSettings(tmp_path / "model.gguf", 64))


@pytest.mark.peer("llama_cpp")
def test_a_context_can_be_cut_back_saved_and_loaded(peer: LlamaCppPeer, tmp_path: Path) -> None:
    ids = peer.tokenize(TEXTS[0], add_special=True, parse_special=False)
    assert peer.prefill_seconds(ids) > 0
    best = int(np.argmax(peer.logits()))
    first = peer.decode(5)
    peer.truncate(len(ids))
    again = peer.decode(5, first_id=best)
    assert again.ids == first.ids
    assert (first.seconds > 0).all()
    peer.truncate(len(ids))
    assert peer.save_state_seconds(tmp_path / "state") > 0
    peer.reset()
    assert peer.load_state_seconds(tmp_path / "state") > 0
    with pytest.raises(PeerError, match="nothing to go on from"):
        peer.decode(1)
    assert peer.decode(5, first_id=best).ids == first.ids


@pytest.mark.peer("llama_cpp")
def test_more_than_the_context_holds_is_an_error(peer: LlamaCppPeer) -> None:
    peer.reset()
    with pytest.raises(PeerError, match="257 tokens do not fit a context of 256"):
        peer.prefill_seconds([1] * 257)


@pytest.mark.peer("llama_cpp")
@pytest.mark.parametrize("parse_special", [True, False])
def test_its_ids_are_ours(peer: LlamaCppPeer, parse_special: bool) -> None:
    ours = read_tokenizer(read_header(model_file("smollm2-135m")))
    for text in TEXTS:
        theirs = peer.tokenize(text, add_special=True, parse_special=parse_special)
        assert ours.encode(text, parse_special=parse_special) == theirs


def make_peers(folder: Path, wanted: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WORKBENCH_PEERS": str(folder), "PEERS": wanted}
    script = str(paths.root() / ".ci/peers")
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False)


def test_making_what_is_there_is_nothing(tmp_path: Path) -> None:
    for name in ("llama", "torch"):
        (tmp_path / f".{name}").write_text(f"{name} 1.0\n")
    made = make_peers(tmp_path, "llama torch")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == [
        "peers: llama.cpp is here (llama 1.0)",
        "peers: transformers is here (torch 1.0)",
    ]
    assert sorted(place.name for place in tmp_path.iterdir()) == [".llama", ".torch"]


def test_making_an_unknown_peer_is_refused(tmp_path: Path) -> None:
    made = make_peers(tmp_path, "vllm")
    assert made.returncode == 2
    assert "no peer 'vllm'" in made.stderr
