"""Run fio around the rounds of a restore, once for every block size and depth that it uses.

Follows: fio before, between and after, so that its own spread stands beside every ratio to it.
Leaves out: standing in for fio where it is missing; rows then have no ceiling, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from workbench.benchmark.storage import fio
from workbench.benchmark.storage.restore_variants import Variant
from workbench.benchmark.storage.restore_workloads import Workload


def job_for(workload: Workload, variant: Variant, runtime_ms: int) -> fio.FioJob:
    """Return the job that moves the same kind of bytes in requests of the same size and number."""
    return fio.FioJob(
        "read",
        min(variant.block_kib, workload.largest_kib),
        variant.depth,
        runtime_ms,
        random=workload.random,
        writes_percent=workload.writes_percent,
        batched=variant.depth > 1,
    )


class FioRounds:
    """Runs every job at evenly spaced rounds as long as fio works; if not, a note says why."""

    def __init__(self, file: Path, jobs: Iterable[fio.FioJob], rounds: int, runs: int) -> None:
        """Plan ``runs`` runs of each job over ``rounds`` rounds, the first before them all."""
        self.results: dict[fio.FioJob, list[fio.FioResult]] = {job: [] for job in jobs}
        self.notes: list[str] = []
        self._file = file
        self._usable = runs > 0 and fio.available()
        self._due = [round(i * rounds / (runs - 1)) for i in range(runs)] if runs > 1 else [0]
        if runs < 1:
            self.notes.append("fio was not asked for (0 runs), so no row has a ceiling")
        elif not self._usable:
            self.notes.append(f"fio is missing, so no row has a ceiling; {fio.ENABLE}")

    def on_round(self, done: int) -> None:
        """Run what is due when so many rounds are done; 0 is before the first."""
        for _ in range(self._due.count(done)):
            for job, results in self.results.items():
                self._run(job, results)

    def _run(self, job: fio.FioJob, results: list[fio.FioResult]) -> None:
        if not self._usable:
            return
        try:
            results.append(fio.run(self._file, job))
        except fio.FioError as error:
            self._usable = False
            self.notes.append(f"fio was given up, later rows have no ceiling: {error}")
