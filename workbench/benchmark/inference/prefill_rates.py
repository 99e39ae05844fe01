"""Time prefill beside llama.cpp or transformers: prompts of several lengths, all threads.

Follows: every round computes the same prompt from nothing, none of it cached. llama.cpp runs with
the better of its two attentions at each length.
Leaves out: decoding (decode_rates.py) and resuming (resume.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.benchmark.inference.own_engine import OURS, OwnEngine, random_ids
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import Peer, PeerSettings
from workbench.benchmark.progress import meter
from workbench.inference.llama import available_threads

_SPARE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class PrefillPlan:
    """What is computed: prompt lengths in tokens, and rounds."""

    lengths: tuple[int, ...]
    rounds: int


@dataclass(frozen=True, slots=True)
class PrefillRates:
    """One length: rounds of `OURS` and, if it is there, of the peer."""

    n_tokens: int
    threads: int
    samples: Samples
    flash_attention: bool


def measure(model: Path, peer: type[Peer], plan: PrefillPlan, seed: int = 0) -> list[PrefillRates]:
    """Compute prompts of every length; work is in tokens.

    Parameters
    ----------
    model : Path   a GGUF file
    peer : type    LlamaCppPeer or TorchPeer
    plan : PrefillPlan

    Raises
    ------
    PeerError     if the peer fails
    GGUFError, UsageError   as the model raises them

    Cost    ``rounds + 1`` prefills of each length and engine; transformers takes 50 s to load.
    """
    threads = available_threads()
    settings = PeerSettings(model, max(plan.lengths) + _SPARE_TOKENS, threads)
    found = []
    with ExitStack() as stack:
        ours = stack.enter_context(OwnEngine(settings))
        peers = _peers(stack, peer, settings)
        for n_tokens in plan.lengths:
            ids = random_ids(model, n_tokens, seed)
            work = float(n_tokens)
            cases = [Case(OURS, _prefilling(ours, ids), work)]
            flash = False
            if peers:
                trials = {one: _prefilling(engine, ids)() for one, engine in peers.items()}
                flash = min(trials, key=lambda one: trials[one])
                cases.append(Case(peer.name, _prefilling(peers[flash], ids), work))
            with meter(f"prefill of {n_tokens}", plan.rounds) as on_round:
                samples = interleave(cases, plan.rounds, on_round)
            found.append(PrefillRates(n_tokens, threads, samples, flash))
    return found


def _peers(stack: ExitStack, peer: type[Peer], settings: PeerSettings) -> dict[bool, Peer]:
    """Return the peer in each of its settings; none if it is not installed."""
    if not peer.available():
        return {}
    choices = (False, True) if peer is LlamaCppPeer else (False,)
    return {
        flash: stack.enter_context(peer(replace(settings, flash_attention=flash)))
        for flash in choices
    }


def _prefilling(engine: OwnEngine | Peer, ids: list[int]) -> Callable[[], float]:
    def run() -> float:
        engine.reset()
        return engine.prefill_seconds(ids)

    return run
