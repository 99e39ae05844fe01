"""The record of one run, run.json: written first, finished once, truthful when its writer dies.

Follows: running -> one final status; every write is atomic and durable (publish.py).
Leaves out: finding and listing runs (registry.py), running them (execute.py).

Schema rule: fields are only ever added, each with a default; a change of meaning gets a new name.
So older and newer files both read, and what a newer one adds is ignored.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from workbench import paths
from workbench.benchmark import machine
from workbench.errors import WorkbenchError
from workbench.runs import environment
from workbench.runs.params import DayParams, params_hash
from workbench.runs.publish import write_atomic
from workbench.runs.scrub import scrubber

SCHEMA_VERSION = 1
FILE_NAME = "run.json"
KERNEL_LOG = "kernel.log"
GONE = "the process that ran it is gone"

Status = Literal[
    "running", "ok", "refuted", "undecided", "failed", "timed_out", "killed", "interrupted"
]
Kind = Literal["day", "profile"]
Source = Literal["workbench", "papermill", "jupyterlab", "script"]
COMPLETE: frozenset[Status] = frozenset({"ok", "refuted", "undecided"})
EXIT_CODES: dict[Status, int] = {
    "ok": 0,
    "undecided": 0,
    "refuted": 1,
    "running": 3,
    "failed": 3,
    "timed_out": 4,
    "killed": 5,
    "interrupted": 130,
}


class RecordError(WorkbenchError):
    """A run.json cannot be read, or was to be changed after its end."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FailedCell(_Part):
    """Where a notebook stopped: code cell number from 1, its tag, the first line of its source."""

    number: int
    tag: str = ""
    first_line: str = ""


class RatioRecord(_Part):
    """A ratio with its interval, as in benchmark/statistics."""

    median: float
    low: float
    high: float
    n_rounds: int


class VerdictRecord(_Part):
    """What the run claims, and what became of the claim."""

    metric: str
    claim: str
    contender: str
    baseline: str
    ratio: RatioRecord
    verdict: Literal["holds", "refuted", "undecided"]
    sentence: str = ""


class RunRecord(_Part):
    """Everything known about a run; docs/structure.md shows what lies beside it."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    day: str
    kind: Kind = "day"
    label: str = ""
    source: Source = "workbench"
    preset: str = ""
    params: dict[str, Any] = {}
    params_hash: str = ""
    status: Status = "running"
    reason: str = ""
    failed_cell: FailedCell | None = None
    started: str = ""
    wall_s: float | None = None
    compile_s: float | None = None
    peak_rss_bytes: int | None = None
    cells_done: int = 0
    cells_total: int | None = None
    verdict: VerdictRecord | None = None
    machine: dict[str, Any] = {}
    machine_id: str = ""
    git_sha: str = ""
    git_dirty: bool = False
    branch: str = ""
    python: str = ""
    packages_hash: str = ""
    seed: int = 0
    contended: bool = False
    sweep: str = ""  # runs of one grid share it, however often the grid was resumed
    attempts: int = 1  # how often a cluster began it; all but the last were lost with their worker
    pid: int = 0
    pid_started: float = 0.0

    @property
    def exit_code(self) -> int:
        """Return what the command line answers for this run."""
        return EXIT_CODES[self.status]


def new(
    day: str,
    params: DayParams,
    source: Source,
    *,
    label: str = "",
    contended: bool = False,
    sweep: str = "",
) -> RunRecord:
    """Return the first record of a run that this process owns, everything observed filled in."""
    now = datetime.now(UTC)
    where = machine.identify(environment.resolve_store(params.store))
    code = environment.code()
    return RunRecord(
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        day=day,
        label=label,
        source=source,
        preset=params.preset,
        params=params.model_dump(),
        params_hash=params_hash(params),
        started=now.isoformat(timespec="milliseconds"),
        machine=where.as_dict(),
        machine_id=where.id,
        git_sha=code.sha,
        git_dirty=code.dirty,
        branch=code.branch,
        python=environment.python_version(),
        packages_hash=environment.packages_hash(),
        seed=params.seed,
        contended=contended,
        sweep=sweep,
        pid=os.getpid(),
        pid_started=environment.process_started(os.getpid()) or 0.0,
    )


def elapsed_s(record: RunRecord) -> float:
    """Return the seconds since the run started."""
    return round((datetime.now(UTC) - datetime.fromisoformat(record.started)).total_seconds(), 3)


def read(path: Path) -> RunRecord:
    """Read a run.json, of this schema version or any other.

    Raises
    ------
    RecordError   if it is not there, not JSON, or lacks what every version has
    """
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        what = str(error).splitlines()[0]
        message = f"{paths.shown(path)} is not a readable run record ({what}); delete its folder"
        raise RecordError(message) from error


def is_orphan(record: RunRecord) -> bool:
    """Tell whether a record says *running* although its process is gone."""
    alive = record.status != "running" or environment.is_running(record.pid, record.pid_started)
    return not alive


def read_settled(path: Path) -> RunRecord:
    """Read a run.json as it has to be understood: *running* only while its process is alive."""
    record = read(path)
    if is_orphan(record):
        # It may have ended well between the reading and the asking; now nothing writes any more.
        record = read(path)
    if is_orphan(record):
        return record.model_copy(update={"status": "killed", "reason": GONE})
    return record


class RunFile:
    """The run.json of one run, in the hands of the one process that owns it."""

    def __init__(self, record: RunRecord, folder: Path) -> None:
        """Make the folder and write the record."""
        self.folder = folder
        folder.mkdir(parents=True)
        self._write(record)

    @classmethod
    def create(cls, record: RunRecord) -> RunFile:
        """Begin a run at its place under the runs folder."""
        return cls(record, paths.runs() / record.day / record.run_id)

    def update(self, **changes: Any) -> None:
        """Change fields of a run that still runs."""
        if self.record.status != "running":
            raise RecordError(f"run {self.record.run_id} has ended ({self.record.status})")
        self._write(self.record.model_copy(update=changes))

    def finish(self, status: Status, reason: str = "", **changes: Any) -> RunRecord:
        """End the run; a second end is refused."""
        wall_s = elapsed_s(self.record)
        self.update(status=status, reason=reason, **{"wall_s": wall_s, **changes})
        return self.record

    def reopen(self) -> None:
        """Take back a failure, because the notebook is open and its user goes on."""
        if self.record.status in COMPLETE:
            raise RecordError(f"run {self.record.run_id} is complete; open a new one")
        changes = {"status": "running", "reason": "", "failed_cell": None}
        self._write(self.record.model_copy(update=changes))

    def _write(self, record: RunRecord) -> None:
        value = scrubber().value(record.model_dump(mode="json"))
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomic(self.folder / FILE_NAME, (text + "\n").encode())
        # What the process holds is what the file says, with no name that the file does not have.
        self.record = RunRecord.model_validate(value)
