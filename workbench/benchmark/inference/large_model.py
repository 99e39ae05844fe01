"""Time layers as wide as Llama 3.3 70B's on this machine: in memory, and streamed from the SSD.

Follows: the model's own forward pass over a few layers, a token at a time behind a context; beside
it, in the same rounds, reading as many bytes as fast as memory gives them.
Leaves out: what follows for 80 layers (large_projection.py), and quality: weights are noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kernels import read
from workbench.benchmark import metrics
from workbench.benchmark.inference.large_layers import LayersShape, write_layers
from workbench.benchmark.paired import Case, Samples, interleave, timed_on_threads
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import scratch_folder
from workbench.inference.llama import LlamaModel, available_threads
from workbench.tiering.async_io.residency import drop_cache
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.memory import allocate
from workbench.tiering.mmap_gguf import open_model
from workbench.tiering.mmap_gguf.direct_layers import DirectLayers
from workbench.tiering.mmap_gguf.layers import group_tensors
from workbench.tiering.tiered_kv_cache import CacheConfig, CachedSequence, TieredKVCache

# Case names.
RESIDENT, READ = "layers in memory", "reading memory"
_READ_VARIANT = "njit_vector"
_BLOCK_TOKENS = 64


@dataclass(frozen=True, slots=True)
class LargePlan:
    """What is timed.

    Attributes
    ----------
    share : int            1: whole layers; 8: an eighth of each, as tensor parallelism cuts them
    n_layers : int         at least 3: two places to stream through, and one layer more
    context_tokens : int   cached tokens before the one that is computed
    rounds : int           at least 10
    streamed_passes : int  over all layers, from the SSD
    """

    share: int
    n_layers: int
    context_tokens: int
    rounds: int
    streamed_passes: int


@dataclass(frozen=True, slots=True)
class LargeModel:
    """What `measure` found.

    Attributes
    ----------
    plan : LargePlan
    threads : int
    layer_bytes : int         of one layer (of its share) in the file
    samples : Samples         `RESIDENT` and `READ`, work in bytes of all layers
    streamed_s : float64[n]   seconds of each streamed pass over all layers, products beside it
    direct : bool             whether the reads went past the page cache
    """

    plan: LargePlan
    threads: int
    layer_bytes: int
    samples: Samples
    streamed_s: NDArray[np.float64]
    direct: bool

    @property
    def layer_s(self) -> float:
        """Return the median seconds of one whole layer in memory."""
        seconds = float(np.median(self.samples.seconds[RESIDENT]))
        return seconds / self.plan.n_layers * self.plan.share

    @property
    def streamed_layer_s(self) -> float:
        """Return the median seconds of one whole layer that comes from the SSD."""
        return float(np.median(self.streamed_s)) / self.plan.n_layers * self.plan.share

    @property
    def weights_gb_s(self) -> float:
        """Return the GB of weights that pass through the products a second."""
        return self.samples.median_rate(RESIDENT) / 1e9

    @property
    def read_gb_s(self) -> float:
        """Return the GB that memory gives a second."""
        return self.samples.median_rate(READ) / 1e9

    @property
    def ssd_gb_s(self) -> float:
        """Return the GB a second that came from the SSD while the products ran."""
        return self.plan.n_layers * self.layer_bytes / float(np.median(self.streamed_s)) / 1e9

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows: milliseconds of one whole layer, a round or pass each."""
        per_layer = 1e3 / self.plan.n_layers * self.plan.share
        case = f"model=llama-3.3-70b share=1/{self.plan.share} tokens={self.plan.context_tokens}"
        resident = self.samples.seconds[RESIDENT] * per_layer
        return pl.concat(
            [
                metrics.rows("layer", "ms", values, tier=tier, case=case, variant="Q4_K")
                for tier, values in (
                    ("memory", resident),
                    ("device", self.streamed_s * per_layer),
                )
            ]
        )


def measure(store: Path, plan: LargePlan, seed: int = 0) -> LargeModel:
    """Write the layers, then time them.

    Parameters
    ----------
    store : Path   folder on the disk to measure; the layers' file lives there meanwhile

    Raises
    ------
    MediumError   if there is no room on the disk
    UsageError    if the layers do not fit into memory

    Cost    a whole layer has 0.48 GB: about 1 s each to write and pack, 0.05 s a round, and the
            disk's time a streamed pass; twice the layers' bytes of memory.
    """
    shape = LayersShape(plan.n_layers, plan.share)
    with scratch_folder(store, "large", shape.file_bytes) as folder:
        path = folder / "layers.gguf"
        write_layers(path, shape, seed)
        with path.open("rb") as file:
            drop_cache(file.fileno())
        return _measure(path, plan, shape.layer_bytes, seed)


def _measure(path: Path, plan: LargePlan, layer_bytes: int, seed: int) -> LargeModel:
    threads = available_threads()
    work = float(plan.n_layers * layer_bytes)
    with LlamaModel.open(path, threads=threads) as model, _behind(model, plan, seed) as sequence:
        step = _Step(model, sequence)
        cases = [Case(RESIDENT, step.run, work), Case(READ, _reading(int(work), threads), work)]
        with meter("70B layers", plan.rounds) as on_round:
            samples = interleave(cases, plan.rounds, on_round)
        streamed_s, direct = _streamed(path, plan, step)
    return LargeModel(plan, threads, layer_bytes, samples, streamed_s, direct)


class _Step:
    """Computes one token behind the context, and forgets it."""

    def __init__(self, model: LlamaModel, sequence: CachedSequence) -> None:
        self._model, self._sequence = model, sequence
        self._n_tokens = sequence.n_tokens

    def run(self) -> float:
        """Return the seconds of one token."""
        start = perf_counter()
        self._model.forward([1], self._sequence)
        seconds = perf_counter() - start
        self._sequence.truncate(self._n_tokens)
        return seconds


@contextmanager
def _behind(model: LlamaModel, plan: LargePlan, seed: int) -> Iterator[CachedSequence]:
    """Yield a sequence of random keys and values, which take as long to attend to as any."""
    geometry = model.kv_geometry("float16")
    n_blocks = plan.context_tokens // _BLOCK_TOKENS + 2
    hot_bytes = n_blocks * _BLOCK_TOKENS * geometry.bytes_per_token
    with TieredKVCache(CacheConfig(geometry, hot_bytes, high_watermark_frac=1.0)) as cache:
        model.use_cache(cache.layout)
        with cache.sequence() as sequence:
            k, v = _random_tokens(geometry, plan.context_tokens, seed)
            sequence.append(range(plan.context_tokens), k, v)
            yield sequence


def _random_tokens(
    geometry: KVGeometry, n_tokens: int, seed: int
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    rng = np.random.default_rng(seed)
    shape = (n_tokens, geometry.layers, geometry.kv_heads, geometry.head_dim)
    k, v = (rng.standard_normal(shape, np.float32).astype(np.float16) for _ in "kv")
    return k, v


def _reading(n_bytes: int, threads: int) -> Callable[[], float]:
    words = allocate(n_bytes // 8 * 8).view(np.uint64)
    # Zeros that were never written elsewhere would all be one page.
    words[:] = np.arange(len(words), dtype=np.uint64)
    bounds = [len(words) * part // threads for part in range(threads + 1)]
    shares: list[tuple[object, ...]] = [
        (words[start:stop], np.zeros(1, np.uint64)) for start, stop in itertools.pairwise(bounds)
    ]
    return timed_on_threads(read.KERNEL.variants[_READ_VARIANT], shares)


def _streamed(path: Path, plan: LargePlan, step: _Step) -> tuple[NDArray[np.float64], bool]:
    """Let every layer come from the SSD while the products run; return the seconds of each pass."""
    with open_model(path) as model:
        groups = group_tensors(model.header)
        budget_bytes = groups.rest.page_bytes + 2 * groups.layers[0].page_bytes
        with (
            DirectLayers(model, budget_bytes) as layers,
            ThreadPoolExecutor(1, "streaming") as beside,
        ):
            seconds = [
                _pass(layers, plan.n_layers, step, beside) for _ in range(plan.streamed_passes + 1)
            ]
            direct = layers.reader.stats().direct
    # The first one finds nothing read ahead.
    return np.array(seconds[1:]), direct


def _pass(layers: DirectLayers, n_layers: int, step: _Step, beside: ThreadPoolExecutor) -> float:
    start = perf_counter()
    products = beside.submit(step.run)
    for layer in range(n_layers):
        layers.layer(layer)
    products.result()
    return perf_counter() - start
