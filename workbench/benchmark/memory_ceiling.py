"""Measure what memory gives: copies, reads, and copies whose source is still in the cache.

Follows: the interleaved rounds of paired.py; every kernel of kernels/{copy,read,tile}.
Leaves out: caches themselves, and memory of other NUMA nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kernels import copy, read, tile
from kernels.record import Kernel
from workbench.benchmark import metrics
from workbench.benchmark.paired import Case, Samples, interleave, timed_on_threads
from workbench.benchmark.progress import meter
from workbench.errors import UsageError
from workbench.tiering.async_io.buffers import fill_random
from workbench.tiering.memory import MIB, allocate, huge_pages_granted, require_memory

# Half of the smallest second-level cache in use today (512 KiB a core), so that it stays there.
CACHED_SOURCE_BYTES = 256 << 10

# What each kernel family measures: the metric's name.
METRICS = {"copy": "memory_copy", "read": "memory_read", "tile": "memory_copy_cached"}
_KERNELS: dict[str, Kernel] = {k.name: k for k in (copy.KERNEL, read.KERNEL, tile.KERNEL)}
VARIANTS = {name: tuple(kernel.variants) for name, kernel in _KERNELS.items()}

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class MemoryCeiling:
    """What `measure` found; all rates in GB/s of payload (1e9 bytes copied or read a second).

    Attributes
    ----------
    samples : Samples      cases are named ``"<family> <variant> threads=<n>"``
    metrics : frame        rows memory_copy, memory_read, memory_copy_cached
    threads : tuple        thread counts that were measured
    memory_mib : int       size of the source and of the destination
    huge_pages : bool      whether the buffers were advised, and the system willing, to use them
    """

    samples: Samples
    metrics: pl.DataFrame
    threads: tuple[int, ...]
    memory_mib: int
    huge_pages: bool

    def best(self, family: str, threads: int = 1) -> tuple[str, float]:
        """Return the fastest variant of "copy", "read" or "tile", and its median GB/s."""
        rates = {
            variant: self.samples.median_rate(case_name(family, variant, threads)) / 1e9
            for variant in VARIANTS[family]
        }
        return max(rates.items(), key=lambda item: item[1])

    def copy_gb_s(self, threads: int = 1) -> float:
        """Return the copy ceiling, memory to memory, in GB/s."""
        return self.best("copy", threads)[1]

    def read_gb_s(self, threads: int = 1) -> float:
        """Return the read ceiling in GB/s."""
        return self.best("read", threads)[1]

    def cached_copy_gb_s(self, threads: int = 1) -> float:
        """Return the copy ceiling from the second-level cache to memory in GB/s."""
        return self.best("tile", threads)[1]


def case_name(family: str, variant: str, threads: int) -> str:
    """Return the name of a case in the samples."""
    return f"{family} {variant} threads={threads}"


def measure(memory_mib: int, rounds: int, threads: Sequence[int] = (1, 2)) -> MemoryCeiling:
    """Time every copy, read and tile kernel on every thread count, interleaved.

    Parameters
    ----------
    memory_mib : int   MiB of the source, and of the destination; several times the last-level
                       cache, or the cache is measured
    rounds : int       at least 1; a ratio with an interval needs 10
    threads : ints     thread counts; each thread works on its own share of the same buffers

    Raises
    ------
    UsageError   if the buffers do not fit into the free memory, or the sizes make no sense

    Cost    22 cases a round at two thread counts: about 1.5 s a GiB and round.
    """
    _check(memory_mib, rounds, threads)
    destination, source = allocate(memory_mib * MIB), allocate(memory_mib * MIB)
    # Random, for zeros lie: a line of zeros is written at twice the speed (measured on Zen 3).
    fill_random(source.data, np.random.default_rng(0))
    cases = [case for count in threads for case in _cases(destination, source, count)]
    with meter("memory ceiling", rounds) as report:
        samples = interleave(cases, rounds, on_round=report)
    return MemoryCeiling(
        samples, _rows(samples, threads), tuple(threads), memory_mib, huge_pages_granted()
    )


def _check(memory_mib: int, rounds: int, threads: Sequence[int]) -> None:
    problems = []
    if memory_mib < 1:
        problems.append(f"memory_mib={memory_mib} must be at least 1")
    if rounds < 1:
        problems.append(f"rounds={rounds} must be at least 1")
    if not threads or len(set(threads)) != len(threads) or min(threads) < 1:
        problems.append(f"threads={tuple(threads)} must be different counts of at least 1")
    elif memory_mib * MIB < max(threads) * CACHED_SOURCE_BYTES:
        problems.append(f"memory_mib={memory_mib} is too little for {max(threads)} threads")
    if problems:
        raise UsageError(problems)
    need = 2 * memory_mib * MIB + max(threads) * CACHED_SOURCE_BYTES
    require_memory(need, f"a memory ceiling over {memory_mib} MiB", "lower memory_mib")


def _cases(destination: Bytes, source: Bytes, threads: int) -> list[Case]:
    share = destination.size // threads // CACHED_SOURCE_BYTES * CACHED_SOURCE_BYTES
    parts = [slice(start, start + share) for start in range(0, share * threads, share)]
    shares: dict[str, list[tuple[object, ...]]] = {
        "copy": [(destination[part], source[part]) for part in parts],
        "read": [(source[part].view(np.uint64), np.zeros(1, np.uint64)) for part in parts],
        "tile": [(destination[part], _cached(source[part])) for part in parts],
    }
    return [
        Case(
            case_name(family, variant, threads),
            timed_on_threads(function, shares[family]),
            work=share * threads,
        )
        for family, kernel in _KERNELS.items()
        for variant, function in kernel.variants.items()
    ]


def _cached(source: Bytes) -> Bytes:
    small = allocate(CACHED_SOURCE_BYTES)
    small[:] = source[:CACHED_SOURCE_BYTES]
    return small


def _rows(samples: Samples, threads: Sequence[int]) -> pl.DataFrame:
    return pl.concat(
        metrics.rows(
            METRICS[family],
            "GB/s",
            samples.rate(case_name(family, variant, count)) / 1e9,
            tier="memory",
            case=f"threads={count}",
            variant=variant,
        )
        for count in threads
        for family, variants in VARIANTS.items()
        for variant in variants
    )
