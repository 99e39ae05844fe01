"""Run a grid of parameters, repeated and resumed, by this process or a cluster's workers.

Follows: one process for many runs, because importing papermill costs more than a small run.
Leaves out: who makes the runs (executor.py), and choosing good points of a grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.errors import UsageError
from workbench.runs import registry
from workbench.runs.days.day import Day
from workbench.runs.executor import Executor, Here
from workbench.runs.grid import grid_id
from workbench.runs.params import DayParams, params_hash
from workbench.runs.record import COMPLETE, EXIT_CODES
from workbench.runs.request import Request, Run
from workbench.runs.stop import Stop


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to run, in which way.

    Attributes
    ----------
    day : Day            the day to run
    points : tuple       one set of parameters a point of the grid
    repeat : int         runs of every point; the grid is gone through so many times
    jobs : int           runs at a time on this machine
    label : str          free text on every run
    timeout_s : int      the longest that a cell may take; None: the day's own limit
    contended : bool     parallel runs of any size are wanted, without verdicts
    scheduler : str      address of the Dask scheduler whose workers make the runs; "" for none
    """

    day: Day
    points: tuple[DayParams, ...]
    repeat: int = 1
    jobs: int = 1
    label: str = ""
    timeout_s: int | None = None
    contended: bool = False
    scheduler: str = ""

    def __post_init__(self) -> None:
        problems = [
            f"--{name} {value} must be at least 1"
            for name, value in (("repeat", self.repeat), ("jobs", self.jobs))
            if value < 1
        ]
        tiny = all(point.preset == "tiny" for point in self.points)
        if self.jobs > 1 and not (tiny or self.contended):
            problems.append(
                f"--jobs {self.jobs} would make the measurements compete; "
                "use --preset tiny, or add --contended and do without verdicts"
            )
        if self.jobs > 1 and self.scheduler:
            problems.append(
                f"--jobs {self.jobs} is for this machine, --scheduler {self.scheduler} for its "
                "own workers; give one of them"
            )
        if problems:
            raise UsageError(problems)

    def requests(self) -> list[Request]:
        """Return every run of the sweep; a grid is finished before its next repeat begins."""
        together = self.contended or self.jobs > 1
        return [
            Request(self.day, point, self.label, self.timeout_s, together, self.id)
            for _ in range(self.repeat)
            for point in self.points
        ]

    @property
    def id(self) -> str:
        """Return 12 hex digits that the same grid with the same label always has."""
        return grid_id(self.day.name, self.label, map(params_hash, self.points))

    @property
    def stores(self) -> tuple[str, ...]:
        """Return every ``store`` that the sweep measures."""
        return tuple(dict.fromkeys(point.store for point in self.points))


def remaining(sweep: Sweep, executor: Executor | None = None) -> list[Request]:
    """Return the runs that have not come to their end yet on any machine of the executor's.

    A run counts when day, parameters and label are the same; each counts for one repeat. Which code
    it ran does not matter: name a change with a label, or leave ``--resume`` out.
    """
    done = Counter(
        (run.machine_id, run.params_hash)
        for run in registry.runs(sweep.day.name)
        if run.status in COMPLETE and run.label == sweep.label
    )
    machines = {store: (executor or Here()).machine_ids(store) for store in sweep.stores}
    left: list[Request] = []
    for request in sweep.requests():
        digest = params_hash(request.params)
        keys = ((machine, digest) for machine in machines[request.params.store])
        known = next((key for key in keys if done[key]), None)
        if known is not None:
            done[known] -= 1
        else:
            left.append(request)
    return left


def run_all(
    requests: Sequence[Request],
    stop: Stop,
    executor: Executor | None = None,
    *,
    ended: Callable[[int, Run], None] | None = None,
) -> list[Run]:
    """Make the runs; one that fails does not keep the others from running.

    Parameters
    ----------
    requests : sequence   what to run, in this order
    stop : Stop           once it is wished for, nothing new begins
    executor : Executor   makes them; default: this process, one after the other
    ended                 is told of each run that has ended, by its number from 0

    Returns
    -------
    runs : list of Run   those that were begun, in the order of the requests

    Raises
    ------
    WorkbenchError   when no more runs can be made; ``ended`` has been told of the others
    """
    runs: dict[int, Run] = {}
    for number, run in (executor or Here()).runs(requests, stop):
        runs[number] = run
        if ended is not None:
            ended(number, run)
    return [runs[number] for number in sorted(runs)]


def worst_exit_code(runs: Sequence[Run], stop: Stop) -> int:
    """Return the exit code of the run that went worst; to be stopped is worse than all."""
    codes = [run.record.exit_code for run in runs]
    return max([0, *codes, EXIT_CODES["interrupted"] if stop.soon.is_set() else 0])
