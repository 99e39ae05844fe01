"""Run several cases side by side, round by round, so that a drifting machine hits all alike.

Follows: A B B A ordering; the first call of each case is a warm-up and is not counted (Numba
compiles in it).
Leaves out: judging the samples (statistics.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.statistics import Ratio, bootstrap_ratio


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to time: ``run()`` does ``work`` units (bytes, tokens) and returns its seconds."""

    name: str
    run: Callable[[], float]
    work: float


@dataclass(frozen=True, slots=True)
class Samples:
    """What `interleave` measured: seconds and rates by case name, one entry a round."""

    seconds: dict[str, NDArray[np.float64]]
    work: dict[str, float]

    def rate(self, name: str) -> NDArray[np.float64]:
        """Return units of work per second, float64[n_rounds]."""
        return self.work[name] / self.seconds[name]

    def median_rate(self, name: str) -> float:
        """Return the median units of work per second."""
        return float(np.median(self.rate(name)))

    def ratio(self, contender: str, baseline: str) -> Ratio:
        """Return how many times the baseline's rate the contender reaches."""
        return bootstrap_ratio(self.rate(contender), self.rate(baseline))


def timed(function: Callable[..., object], *arguments: object) -> Callable[[], float]:
    """Return a callable that runs ``function(*arguments)`` and answers the seconds it took."""

    def run() -> float:
        start = time.perf_counter()
        function(*arguments)
        return time.perf_counter() - start

    return run


def timed_on_threads(
    function: Callable[..., object], shares: Sequence[tuple[object, ...]]
) -> Callable[[], float]:
    """Return a callable that runs one share of the work a thread and answers the seconds it took.

    Seconds count from the first start to the last end; a single share runs in the calling thread.
    ``function`` must release the GIL for most of its time.
    """
    if len(shares) == 1:
        return timed(function, *shares[0])

    def run() -> float:
        ready = threading.Barrier(len(shares))
        starts = [0.0] * len(shares)
        ends = [0.0] * len(shares)

        def work(index: int) -> None:
            ready.wait()
            starts[index] = time.perf_counter()
            function(*shares[index])
            ends[index] = time.perf_counter()

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(shares))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(ends) - min(starts)

    return run


def interleave(
    cases: Sequence[Case], rounds: int, on_round: Callable[[int], None] | None = None
) -> Samples:
    """Time every case once a round, forwards in even rounds and backwards in odd ones.

    Parameters
    ----------
    cases : sequence of Case   unique names
    rounds : int               at least 1; a ratio with an interval needs 10
    on_round : callable        called with the number of rounds done, for progress

    Raises
    ------
    ValueError   if names repeat or there is nothing to do

    Cost    ``rounds + 1`` calls of every case.
    """
    names = [case.name for case in cases]
    if len(set(names)) != len(names) or not cases or rounds < 1:
        raise ValueError(
            f"need at least one round of uniquely named cases, got {rounds} rounds of {names}"
        )
    for case in cases:
        case.run()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for case in cases if number % 2 == 0 else reversed(cases):
            seconds[case.name].append(case.run())
        if on_round is not None:
            on_round(number + 1)
    return Samples(
        {name: np.array(values) for name, values in seconds.items()},
        {case.name: case.work for case in cases},
    )
