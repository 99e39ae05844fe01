"""Time inference with the tiers on and off when nothing is ever reused: all cost, no gain.

Follows: every round takes a prompt that no round had before; with the tiers on, the clock runs
until all of its blocks are on the SSD.
Leaves out: what reuse gains (resume.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from workbench.benchmark.inference.own_engine import OwnEngine, random_ids
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_folder
from workbench.inference.llama import available_threads

# Case names.
TIERED, MEMORY_ONLY, AGAIN = "tiers on", "memory only", "memory only, once more"
_STORE_BYTES = 1 << 30
_DRAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class CostPlan:
    """What a round computes: tokens of the prompt, tokens decoded; rounds."""

    prompt_tokens: int
    decoded_tokens: int
    rounds: int


def measure(model: Path, store: Path, plan: CostPlan, seed: int = 0) -> Samples:
    """Prefill and decode in turns, tiers on, off and off; work is in tokens.

    Parameters
    ----------
    model : Path   a GGUF file
    store : Path   folder on the disk to use; a store of up to 1 GiB lives there meanwhile

    Raises
    ------
    MediumError   if there is no room, or blocks were not written within a minute
    GGUFError, UsageError, StorageError   as the parts raise them

    Cost    ``3 * (rounds + 1)`` prompts.
    """
    room = plan.prompt_tokens + plan.decoded_tokens + 64
    settings = PeerSettings(model, room, available_threads())
    seeds = itertools.count(seed << 20)
    work = float(plan.prompt_tokens + plan.decoded_tokens)
    with (
        scratch_folder(store, "tiering-cost", _STORE_BYTES) as folder,
        OwnEngine(settings, folder=folder) as tiered,
        OwnEngine(settings) as plain,
    ):
        cases = [
            Case(name, _request(engine, model, plan, seeds), work)
            for name, engine in ((TIERED, tiered), (MEMORY_ONLY, plain), (AGAIN, plain))
        ]
        with meter("cost of the tiers", plan.rounds) as on_round:
            samples = interleave(cases, plan.rounds, on_round)
        if not tiered.cache.stats().ssd_written_bytes:
            raise MediumError("nothing was written to the SSD tier; see `workbench doctor`")
    return samples


def _request(
    engine: OwnEngine, model: Path, plan: CostPlan, seeds: itertools.count[int]
) -> Callable[[], float]:
    def run() -> float:
        ids = random_ids(model, plan.prompt_tokens, next(seeds))
        engine.reset()
        start = perf_counter()
        engine.prefill_seconds(ids)
        engine.decode(plan.decoded_tokens)
        if not engine.cache.drain(_DRAIN_S):
            raise MediumError(f"blocks were not written within {_DRAIN_S:.0f} s; check the disk")
        return perf_counter() - start

    return run
