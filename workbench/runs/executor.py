"""Say who makes the runs of a sweep: this process one after the other, or the workers of a cluster.

Follows: one small interface, so that a sweep's loop, table and exit code do not know who it was.
Leaves out: making one run (execute.py) and what a cluster is (cluster/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from workbench.benchmark.machine import identify
from workbench.runs import environment
from workbench.runs.progress import Progress, Silent
from workbench.runs.request import Request, Run
from workbench.runs.stop import Stop


class Executor(Protocol):
    """Makes runs."""

    def machine_ids(self, store: str) -> frozenset[str]:
        """Return which machines a run that measures this ``store`` may be made on."""

    def runs(self, requests: Sequence[Request], stop: Stop) -> Iterator[tuple[int, Run]]:
        """Make the runs, and give each that has ended with its request's place in the sequence.

        A run that fails is a result like any other. Once ``stop`` is wished for, nothing new
        begins, and what was begun is still given.

        Raises
        ------
        WorkbenchError   when no more runs can be made; those given so far are kept
        """


@dataclass(frozen=True, slots=True)
class Here:
    """Runs are made by this process, one at a time; ``progress`` is told of each run's cells."""

    progress: Callable[[int, Request], Progress] | None = None

    def machine_ids(self, store: str) -> frozenset[str]:
        """Return this machine's identity."""
        return frozenset({identify(environment.resolve_store(store)).id})

    def runs(self, requests: Sequence[Request], stop: Stop) -> Iterator[tuple[int, Run]]:
        """Make one run after the other."""
        from workbench.runs import execute  # brings papermill, which a cluster's client needs not

        for number, request in enumerate(requests):
            if stop.soon.is_set():
                return
            shown = self.progress(number, request) if self.progress else Silent()
            yield number, execute.run(request, stop, shown)


@contextmanager
def opened(
    stores: Sequence[str], *, jobs: int = 1, scheduler: str = "", contended: bool = False
) -> Iterator[Executor]:
    """Give an executor: of the scheduler's workers, of so many processes here, or this process.

    Parameters
    ----------
    stores : sequence   every ``store`` that the runs will measure
    jobs : int          runs at a time on this machine
    scheduler : str     address of a Dask scheduler, ``tcp://host:8786``; "" for this machine
    contended : bool    the scheduler's workers need not take turns on their machine

    Raises
    ------
    WorkerError   if the scheduler cannot be reached, or its workers cannot make these runs
    """
    if not scheduler and jobs == 1:
        yield Here()
        return
    from workbench.runs.cluster import connecting  # Dask takes most of a second to import

    if scheduler:
        with connecting.to_scheduler(scheduler, stores, alone=not contended) as executor:
            yield executor
    else:
        with connecting.to_own_workers(jobs, stores) as executor:
            yield executor
