"""Measure what the hot tier's memory costs before it is of any use: allocation and first touch.

Follows: anonymous memory is backed page by page when first written, so allocating is free, the
first store is not, and every later one is cheap again.
Leaves out: huge pages, and what a slab is used for (kernels).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import polars as pl
import psutil
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.errors import UsageError

_GIB, _MIB = 1 << 30, 1 << 20
# More than this teaches nothing new about a page, and half of what is free is left to others.
_MAX_BYTES = 2 * _GIB

STEPS = ("allocate", "first_touch", "rewrite")


@dataclass(frozen=True, slots=True)
class SlabCost:
    """What a slab cost, one entry a round.

    Attributes
    ----------
    n_bytes : int              size of the slab
    seconds : dict             step -> float64[n_rounds]: allocate, first_touch, rewrite
    rss_bytes : dict           step -> float64[n_rounds]: growth of this process since before it
    """

    n_bytes: int
    seconds: dict[str, NDArray[np.float64]]
    rss_bytes: dict[str, NDArray[np.float64]]

    def s_per_gib(self, step: str) -> NDArray[np.float64]:
        """Return a step's seconds per GiB, float64[n_rounds]."""
        return self.seconds[step] * (_GIB / self.n_bytes)

    def rows(self, case: str, variant: str) -> pl.DataFrame:
        """Return metric rows: hot_slab_rss in bytes, and hot_slab_<step> in s/GiB."""
        return pl.concat(
            [
                metrics.rows(
                    "hot_slab_rss",
                    "bytes",
                    self.rss_bytes["rewrite"],
                    tier="hot",
                    case=case,
                    variant=variant,
                ),
                *(
                    metrics.rows(
                        f"hot_slab_{step}",
                        "s/GiB",
                        self.s_per_gib(step),
                        tier="hot",
                        case=case,
                        variant=variant,
                    )
                    for step in STEPS
                ),
            ]
        )

    def table(self) -> pl.DataFrame:
        """Return one row a step: median and extremes in s/GiB, and the memory taken after it."""
        return pl.DataFrame(
            [
                {
                    "step": step.replace("_", " "),
                    "s/GiB": float(np.median(self.s_per_gib(step))),
                    "fastest": float(self.s_per_gib(step).min()),
                    "slowest": float(self.s_per_gib(step).max()),
                    "RSS growth MiB": float(np.median(self.rss_bytes[step])) / _MIB,
                }
                for step in STEPS
            ]
        )


def affordable_bytes() -> int:
    """Return the largest slab worth measuring here: half of the free memory, at most 2 GiB."""
    return int(min(_MAX_BYTES, psutil.virtual_memory().available // 2))


def measure_slab(n_bytes: int, rounds: int = 3) -> SlabCost:
    """Allocate, touch and rewrite a slab, anew each round.

    Parameters
    ----------
    n_bytes : int   1 .. `affordable_bytes()`
    rounds : int    at least 1

    Raises
    ------
    UsageError   if the slab does not fit or there is nothing to do

    Cost    per round and GiB 0.3-0.8 s; several seconds where a virtual machine's host has to find
            the memory first.
    """
    if not 1 <= n_bytes <= affordable_bytes() or rounds < 1:
        raise UsageError(
            f"{rounds} rounds of a slab of {n_bytes} bytes; at least 1 round, and 1 to "
            f"{affordable_bytes()} bytes fit here: take fewer hot tokens"
        )
    seconds: dict[str, list[float]] = {step: [] for step in STEPS}
    growth: dict[str, list[float]] = {step: [] for step in STEPS}
    for _ in range(rounds):
        _one_round(n_bytes, seconds, growth)
    return SlabCost(
        n_bytes,
        {step: np.array(values) for step, values in seconds.items()},
        {step: np.array(values) for step, values in growth.items()},
    )


def _one_round(
    n_bytes: int, seconds: dict[str, list[float]], growth: dict[str, list[float]]
) -> None:
    process = psutil.Process()
    before = process.memory_info().rss

    def step(name: str, action: Callable[[], None]) -> None:
        start = perf_counter()
        action()
        seconds[name].append(perf_counter() - start)
        growth[name].append(float(process.memory_info().rss - before))

    held: list[mmap.mmap] = []
    # Private, as an array's own memory is: Python's default would be shared memory.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    step("allocate", lambda: held.append(mmap.mmap(-1, n_bytes, flags=flags)))
    slab = np.frombuffer(held[0], dtype=np.uint8)
    step("first_touch", lambda: slab.fill(1))
    step("rewrite", lambda: slab.fill(2))
