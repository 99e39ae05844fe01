"""Time cases with fio run right before and right after them, round by round.

Follows: a shared disk drifts by a factor within a minute, so only ratios of one round are judged,
and fio over fio says how far two runs of the same thing differ.
Leaves out: choosing the job (the callers) and running fio (fio.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.statistics import Ratio, bootstrap_ratio
from workbench.benchmark.storage import fio

_BEFORE, _AFTER = "fio before", "fio after"


@dataclass(frozen=True, slots=True)
class BesideFio:
    """What `measure` found; rates of ``samples`` are bytes a second."""

    samples: Samples
    job: fio.FioJob

    def fio_rate(self) -> NDArray[np.float64]:
        """Return fio's bytes a second in each round: the mean of both runs, float64[n_rounds]."""
        both: NDArray[np.float64] = self.samples.rate(_BEFORE) * self.samples.rate(_AFTER)
        # Geometric, so that twice and half as fast weigh the same.
        return np.sqrt(both)

    @property
    def ceiling_gb_s(self) -> float:
        """Return fio's median GB/s."""
        return float(np.median(self.fio_rate())) / 1e9

    def ratio(self, case: str) -> Ratio:
        """Return how much of fio's rate a case reaches, round by round."""
        return bootstrap_ratio(self.samples.rate(case), self.fio_rate())

    def spread(self) -> Ratio:
        """Return fio's second run of a round over its first: how far the same thing differs."""
        return self.samples.ratio(_AFTER, _BEFORE)


def measure(
    cases: Sequence[Case],
    file: Path,
    job: fio.FioJob,
    rounds: int,
    on_round: Callable[[int], None] | None = None,
) -> BesideFio:
    """Time every case once a round, fio at both ends of it.

    Parameters
    ----------
    cases : sequence of Case   their work counts bytes
    file : Path                what fio reads, or overwrites
    job : FioJob               what fio is asked
    rounds : int               at least 10

    Raises
    ------
    FioError   if fio is missing or fails

    Cost    ``(rounds + 1)`` calls of every case and twice as many runs of fio.
    """
    around = [Case(name, _FioRun(file, job).run, 1.0) for name in (_BEFORE, _AFTER)]
    return BesideFio(interleave([around[0], *cases, around[1]], rounds, on_round), job)


class _FioRun:
    """Answers the seconds that fio takes for one byte, each time from a run of its own."""

    def __init__(self, file: Path, job: fio.FioJob) -> None:
        self._file = file
        self._job = job

    def run(self) -> float:
        return 1 / (fio.run(self._file, self._job).gb_s * 1e9)
