"""Time decoding beside llama.cpp, behind short and long contexts, on one thread and more.

Follows: the context is computed once; each round decodes the same few tokens behind it and forgets
them. llama.cpp runs with the better of its two attentions at each context.
Leaves out: prefill (prefill_rates.py), and latency token by token (decode_latency.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.benchmark.inference.own_engine import FIRST_ID, OURS, OwnEngine, random_ids
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.progress import meter

_SPARE_TOKENS = 64
_TRIAL_TOKENS = 4


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """What is decoded: contexts in tokens, ascending; thread counts; tokens a round; rounds."""

    contexts: tuple[int, ...]
    threads: tuple[int, ...]
    n_tokens: int
    rounds: int


@dataclass(frozen=True, slots=True)
class DecodeRates:
    """One context and thread count: rounds of `OURS` and, if it is there, of the peer."""

    context_tokens: int
    threads: int
    samples: Samples
    flash_attention: bool


def measure(model: Path, plan: DecodePlan, seed: int = 0) -> list[DecodeRates]:
    """Decode behind every context with every thread count; work is in tokens.

    Parameters
    ----------
    model : Path   a GGUF file
    plan : DecodePlan

    Raises
    ------
    PeerError     if llama.cpp fails
    GGUFError, UsageError   as the model raises them

    Cost    three prefills of the longest context, and ``(rounds + 1) * n_tokens`` tokens of both
            engines for each context and thread count.
    """
    room = max(plan.contexts) + plan.n_tokens + _SPARE_TOKENS
    settings = PeerSettings(model, room, max(plan.threads))
    ids = random_ids(model, max(plan.contexts), seed)
    found = []
    with ExitStack() as stack:
        ours = stack.enter_context(OwnEngine(settings))
        peers = _peers(stack, settings)
        engines: list[OwnEngine | LlamaCppPeer] = [ours, *peers.values()]
        n_before = 0
        for context in plan.contexts:
            for engine in engines:
                engine.use_threads(max(plan.threads))
                engine.prefill_seconds(ids[n_before:context])
            n_before = context
            found += [_rounds(ours, peers, plan, context, count) for count in plan.threads]
    return found


def _peers(stack: ExitStack, settings: PeerSettings) -> dict[bool, LlamaCppPeer]:
    """Return llama.cpp without and with flash attention; none if it is not installed."""
    if not LlamaCppPeer.available():
        return {}
    return {
        flash: stack.enter_context(LlamaCppPeer(replace(settings, flash_attention=flash)))
        for flash in (False, True)
    }


def _rounds(
    ours: OwnEngine,
    peers: dict[bool, LlamaCppPeer],
    plan: DecodePlan,
    context: int,
    threads: int,
) -> DecodeRates:
    engines: list[OwnEngine | LlamaCppPeer] = [ours, *peers.values()]
    for engine in engines:
        engine.use_threads(threads)
    work = float(plan.n_tokens)
    cases = [Case(OURS, _decoding(ours, plan.n_tokens, context), work)]
    flash = False
    if peers:
        trials = {
            one: _best_of_three(_decoding(peer, _TRIAL_TOKENS, context))
            for one, peer in peers.items()
        }
        flash = min(trials, key=lambda one: trials[one])
        decoding = _decoding(peers[flash], plan.n_tokens, context)
        cases.append(Case(LlamaCppPeer.name, decoding, work))
    label = f"decode at {context}, {threads} threads"
    with meter(label, plan.rounds) as on_round:
        samples = interleave(cases, plan.rounds, on_round)
    return DecodeRates(context, threads, samples, flash)


def _decoding(engine: OwnEngine | LlamaCppPeer, n_tokens: int, context: int) -> Callable[[], float]:
    def run() -> float:
        seconds = engine.decode_seconds(n_tokens, FIRST_ID)
        engine.truncate(context)
        return seconds

    return run


def _best_of_three(run: Callable[[], float]) -> float:
    return min(run() for _ in range(3))
