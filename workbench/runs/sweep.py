"""Run a grid of parameters, repeated and resumed, in one parent process.

Follows: one process, because importing papermill costs more than a small run.
Leaves out: several machines, and choosing good points of a grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from workbench.benchmark.machine import identify
from workbench.errors import UsageError
from workbench.runs import environment, execute, registry
from workbench.runs.days.day import Day
from workbench.runs.execute import Request, Run
from workbench.runs.params import DayParams, params_hash
from workbench.runs.progress import Progress, Silent
from workbench.runs.record import COMPLETE, EXIT_CODES
from workbench.runs.stop import Stop


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to run, in which way.

    Attributes
    ----------
    day : Day            the day to run
    points : tuple       one set of parameters a point of the grid
    repeat : int         runs of every point; the grid is gone through so many times
    jobs : int           runs at a time
    label : str          free text on every run
    timeout_s : int      the longest that a cell may take; None: the day's own limit
    contended : bool     parallel runs of any size are wanted, without verdicts
    """

    day: Day
    points: tuple[DayParams, ...]
    repeat: int = 1
    jobs: int = 1
    label: str = ""
    timeout_s: int | None = None
    contended: bool = False

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
        if problems:
            raise UsageError(problems)

    def requests(self) -> list[Request]:
        """Return every run of the sweep; a grid is finished before its next repeat begins."""
        together = self.contended or self.jobs > 1
        return [
            Request(self.day, point, self.label, self.timeout_s, together)
            for _ in range(self.repeat)
            for point in self.points
        ]


def remaining(sweep: Sweep) -> list[Request]:
    """Return the runs of the sweep that have not come to their end on this machine yet.

    A run counts when day, parameters and label are the same; each counts for one repeat. Which code
    it ran does not matter: name a change with a label, or leave ``--resume`` out.
    """
    done = Counter(
        (run.machine_id, run.params_hash)
        for run in registry.runs(sweep.day.name)
        if run.status in COMPLETE and run.label == sweep.label
    )
    left: list[Request] = []
    for request in sweep.requests():
        disk = environment.resolve_store(request.params.store)
        key = (identify(disk).id, params_hash(request.params))
        if done[key]:
            done[key] -= 1
        else:
            left.append(request)
    return left


def run_all(
    requests: Sequence[Request],
    stop: Stop,
    *,
    jobs: int = 1,
    progress: Callable[[int, Request], Progress] | None = None,
    ended: Callable[[int, Run], None] | None = None,
) -> list[Run]:
    """Make the runs; one that fails does not keep the others from running.

    Parameters
    ----------
    requests : sequence   what to run, in this order
    stop : Stop           once it is wished for, nothing new begins
    jobs : int            runs at a time
    progress, ended       are told of each run by its number from 0; from its thread

    Returns
    -------
    runs : list of Run   those that were begun, in the order of the requests
    """

    def one(item: tuple[int, Request]) -> Run | None:
        number, request = item
        if stop.soon.is_set():
            return None
        shown = progress(number, request) if progress else Silent()
        run = execute.run(request, stop, shown)
        if ended is not None:
            ended(number, run)
        return run

    if jobs == 1:
        runs = [one(item) for item in enumerate(requests)]
    else:
        with ThreadPoolExecutor(jobs, thread_name_prefix="sweep") as pool:
            runs = list(pool.map(one, enumerate(requests)))
    return [run for run in runs if run is not None]


def worst_exit_code(runs: Sequence[Run], stop: Stop) -> int:
    """Return the exit code of the run that went worst; to be stopped is worse than all."""
    codes = [run.record.exit_code for run in runs]
    return max([0, *codes, EXIT_CODES["interrupted"] if stop.soon.is_set() else 0])
