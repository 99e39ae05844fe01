"""Time a model with less memory than its weights take, beside all in memory and the disk alone.

Follows: every round passes the same tokens with all weights in memory and within the budget, and
reads the layers that pass, direct and with the device's queue full. No way can be faster than the
slower of computing and reading: that is the ceiling.
Leaves out: how layers pass (workbench/inference/passing_layers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.inference.own_engine import random_ids
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.inference.llama import LlamaModel, available_threads
from workbench.inference.weights import WeightsStats
from workbench.tiering.memory import allocate
from workbench.tiering.mmap_gguf import open_model
from workbench.tiering.mmap_gguf.direct_reader import DirectReader
from workbench.tiering.mmap_gguf.layers import group_of, group_tensors
from workbench.tiering.tiered_kv_cache import (
    BlockLayout,
    CacheConfig,
    CachedSequence,
    TieredKVCache,
)

_SPARE_BLOCKS = 4
# Case names; `CEILING` is made of the two others, round by round.
RESIDENT, STREAMED, READ, CEILING = "all in memory", "streamed", "reading alone", "ceiling"
DECODE, PREFILL = "decode", "prefill"


@dataclass(frozen=True, slots=True)
class StreamingPlan:
    """What is timed.

    Attributes
    ----------
    budget_frac : float     of the weights, 0..1
    decoded_tokens : int    a round, one by one
    prompt_tokens : int     a round, at once
    rounds : int            at least 10
    threads : int or None   None: as many as this process may use
    """

    budget_frac: float
    decoded_tokens: int
    prompt_tokens: int
    rounds: int
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Streaming:
    """What `measure` found: for `DECODE` and `PREFILL` rounds of all four cases, work in tokens."""

    plan: StreamingPlan
    threads: int
    weights: WeightsStats
    samples: dict[str, Samples]


def measure(path: Path, plan: StreamingPlan, seed: int = 0) -> Streaming:
    """Decode and prefill within a budget.

    Raises
    ------
    UsageError     if the budget is too small for the model
    GGUFError, StorageError   as the model raises them

    Cost    ``(rounds + 1)`` times: the tokens twice, and the reads of them.
    """
    threads = plan.threads or available_threads()
    ids = random_ids(path, plan.prompt_tokens, seed)
    with ExitStack() as stack:
        opened = stack.enter_context
        resident = opened(_sequence_of(path, threads, plan, None))
        streamed = opened(_sequence_of(path, threads, plan, plan.budget_frac))
        read = opened(_reading(path, streamed.model.weights.passing_layers))
        samples = {}
        for name, n_passes, tokens in (
            (DECODE, plan.decoded_tokens, [[one] for one in ids[: plan.decoded_tokens]]),
            (PREFILL, streamed.model.n_batches(plan.prompt_tokens), [ids]),
        ):
            work = float(sum(map(len, tokens)))
            cases = [
                Case(RESIDENT, resident.passing(tokens), work),
                Case(STREAMED, streamed.passing(tokens), work),
                Case(READ, _times(read, n_passes), work),
            ]
            with meter(f"{name} with streamed weights", plan.rounds) as on_round:
                samples[name] = _with_ceiling(interleave(cases, plan.rounds, on_round))
        return Streaming(plan, threads, streamed.model.weights, samples)


@dataclass(frozen=True, slots=True)
class ByBudget:
    """What `by_budget` found: metric rows (decode tokens/s), and a table of a row a budget."""

    metrics: pl.DataFrame
    table: pl.DataFrame


def by_budget(path: Path, budget_fracs: Sequence[float], n_tokens: int, seed: int = 0) -> ByBudget:
    """Decode some tokens within each of several budgets, one model that gives memory back.

    Parameters
    ----------
    budget_fracs : sequence of float   of the weights, descending
    n_tokens : int                     decoded within each, one by one

    Raises
    ------
    UsageError     if a budget is too small for the model
    GGUFError, StorageError   as the model raises them
    """
    plan = StreamingPlan(1.0, n_tokens, 1, 10)
    ids = random_ids(path, n_tokens + 2, seed)
    frames, table = [], []
    with _sequence_of(path, available_threads(), plan, None) as text:
        for frac in budget_fracs:
            text.model.set_weights_budget(int(text.model.weights_bytes * frac))
            text.seconds(ids[:2])
            before = text.model.weights
            seconds = [text.seconds([one]) for one in ids[2:]]
            after = text.model.weights
            rates = 1 / np.array(seconds)
            case = f"budget={frac:.2f}"
            frames.append(
                metrics.rows("decode", "tokens/s", rates, tier="memory", case=case, variant="int8")
            )
            table.append(
                {
                    "budget, of the weights": f"{frac:.0%}",
                    "MiB in memory": after.resident_bytes / (1 << 20),
                    "layers that pass": after.passing_layers,
                    "tokens/s": float(np.median(rates)),
                    "MB read a token": (after.read_bytes - before.read_bytes) / n_tokens / 1e6,
                    "ms waited a token": (after.waited_s - before.waited_s) / n_tokens * 1e3,
                }
            )
    return ByBudget(pl.concat(frames), pl.DataFrame(table))


@dataclass(frozen=True, slots=True)
class _Text:
    """A model with a text that is forgotten after each pass."""

    model: LlamaModel
    sequence: CachedSequence

    def seconds(self, ids: Sequence[int]) -> float:
        """Return the seconds to the logits behind some tokens, which stay."""
        start = perf_counter()
        self.model.forward(ids, self.sequence)
        return perf_counter() - start

    def passing(self, tokens: Sequence[Sequence[int]]) -> Callable[[], float]:
        """Return a run that passes tokens, a call each, behind nothing."""

        def run() -> float:
            self.sequence.truncate(0)
            return sum(self.seconds(ids) for ids in tokens)

        return run


@contextmanager
def _sequence_of(
    path: Path, threads: int, plan: StreamingPlan, budget_frac: float | None
) -> Iterator[_Text]:
    tokens = max(plan.prompt_tokens, plan.decoded_tokens + 2)
    with LlamaModel.open(path, threads=threads) as model:
        if budget_frac is not None:
            model.set_weights_budget(int(model.weights_bytes * budget_frac))
        layout = BlockLayout(model.kv_geometry())
        n_blocks = -(-tokens // layout.block_tokens) + _SPARE_BLOCKS
        with TieredKVCache(CacheConfig(layout.geometry, n_blocks * layout.block_bytes)) as cache:
            model.use_cache(cache.layout)
            with cache.sequence() as sequence:
                yield _Text(model, sequence)


@contextmanager
def _reading(path: Path, n_layers: int) -> Iterator[Callable[[], float]]:
    """Yield a run that reads so many layers once, all of them asked for at once."""
    with open_model(path) as model, DirectReader(model) as reader:
        layers = group_tensors(model.header).layers[:n_layers]
        group = group_of(info for layer in layers for info in layer.tensors)
        memory = allocate(group.page_bytes)

        def run() -> float:
            start = perf_counter()
            reader.read(group, memory)
            return perf_counter() - start

        yield run


def _times(run: Callable[[], float], count: int) -> Callable[[], float]:
    return lambda: sum(run() for _ in range(count))


def _with_ceiling(samples: Samples) -> Samples:
    slower = np.maximum(samples.seconds[RESIDENT], samples.seconds[READ])
    work = samples.work[RESIDENT]
    return Samples({**samples.seconds, CEILING: slower}, {**samples.work, CEILING: work})
