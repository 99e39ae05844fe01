"""What a Dask worker does for a sweep: say what it is, make one run, stop.

Follows: the run lands in the worker's own registry as any run does, and then travels as a parcel.
Leaves out: which run goes where, and what becomes of a lost one: Dask's scheduler decides.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from distributed import get_worker

import workbench
from workbench.benchmark.machine import identify
from workbench.errors import WorkbenchError
from workbench.runs import environment
from workbench.runs.cluster.machine_turn import my_turn
from workbench.runs.cluster.parcel import Parcel, pack
from workbench.runs.request import Request
from workbench.runs.stop import Stop

# What figures and their reading depend on; the rest of the packages is in each run's record.
_PACKAGES = ("numba", "numpy", "papermill", "polars", "distributed")
_STOPS: dict[str, Stop] = {}
_ENDING = "workbench-runs-end"


class WorkerError(WorkbenchError):
    """A worker is not what a sweep can be given to, or went away with it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one worker is.

    Attributes
    ----------
    versions : tuple of (str, str)    python and packages that have to be those of the sweep
    code : str                        hash of this project's modules and notebooks
    machine_ids : tuple of str        machine identity by store, in the order asked for
    """

    versions: tuple[tuple[str, str], ...]
    code: str
    machine_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """One run for a worker.

    Attributes
    ----------
    number : int        its place in the sweep
    request : Request   what to run
    token : str         the sweep's, under which it is stopped and its beginnings are counted
    code : str          hash of the code that it has to run with
    alone : bool        it waits until no other worker of the machine measures
    """

    number: int
    request: Request
    token: str
    code: str
    alone: bool


def facts(stores: Sequence[str]) -> Facts:
    """Return what this process is; called on every worker before a sweep begins."""
    versions = (("python", platform.python_version()),)
    machine_ids = tuple(identify(environment.resolve_store(store)).id for store in stores)
    packages = tuple((name, version(name)) for name in _PACKAGES)
    return Facts((*versions, *packages), code_hash(), machine_ids)


@cache
def code_hash() -> str:
    """Return 12 hex digits over this checkout's modules and its notebooks' sources."""
    root = Path(workbench.__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for folder in ("kernels", "workbench"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_bytes())["cells"]
        digest.update(json.dumps([path.name, *(cell["source"] for cell in cells)]).encode())
    return digest.hexdigest()[:12]


def run_task(task: Task) -> Parcel | None:
    """Make a run and return its folder; None if it was stopped before it began.

    Raises
    ------
    WorkerError   if this worker has other code; it joined after the sweep had looked at all others
    UsageError    if the notebook is not there
    """
    from workbench.runs import execute  # brings papermill, which whoever asks for runs needs not

    if code_hash() != task.code:
        raise WorkerError(
            f"a worker that joined late has other code ({code_hash()}) than this sweep "
            f"({task.code}); bring it to the same commit, start it again and use --resume"
        )
    stop = _STOPS.setdefault(task.token, Stop())
    with my_turn(stop) if task.alone else nullcontext():
        if stop.soon.is_set():
            return None
        here = get_worker()
        here.extensions[_ENDING] = _RunsEnd()
        here.log_event(topic(task.token), task.number)
        return pack(execute.run(task.request, stop))


class _RunsEnd:
    """Stops what runs when the worker closes, as it does when its scheduler is gone.

    Nobody takes the result any more, and Dask gives a thread 30 s while the machine is not free.
    """

    def close(self) -> None:
        """Stop the runs of every sweep; Dask calls this, as of any extension of a worker."""
        for stop in tuple(_STOPS.values()):
            stop.stop_now()


def stop_runs(token: str, now: bool) -> None:
    """Stop a sweep's runs on this worker: after the running cell, or now."""
    stop = _STOPS.setdefault(token, Stop())
    stop.soon.set()
    if now:
        stop.stop_now()


def topic(token: str) -> str:
    """Return the name under which the scheduler keeps which runs of a sweep were begun."""
    return f"workbench-{token}"
