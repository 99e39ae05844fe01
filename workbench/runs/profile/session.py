"""Make one profile: the command plain, the command sampled, and a run folder for what was seen.

Follows: `workbench run` (runs/execute.py): a record first, finished once, whatever happens.
Leaves out: what a sample means (workbench/profiling) and the page (report/profile_page.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kernels import symbol_map
from workbench import phases
from workbench.profiling import counters, launch, page_faults, sampler, stacks, symbols
from workbench.profiling.counters import Counters
from workbench.profiling.sampler import Sampling
from workbench.runs import record, registry
from workbench.runs.params import DayParams
from workbench.runs.profile import profile_file
from workbench.runs.profile.profile_file import Profile, ProfileError
from workbench.runs.profile.target import Target, isolated
from workbench.runs.record import EXIT_CODES, RunFile, RunRecord, Status

FOLDER = "profile"
# The first run of a command compiles and fills caches; of a short one a later run is compared, too.
_SHORT_S = 120

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to profile, and how.

    Attributes
    ----------
    target : Target       the day or verb
    rate_hz : int         samples a second
    compare : bool        run it without the sampler, too, for the overhead and the counters
    label : str           free text to find it by
    """

    target: Target
    rate_hz: int
    compare: bool = True
    label: str = ""


@dataclass(frozen=True, slots=True)
class Profiled:
    """A profile that ended: its record, its folder, and what it found unless it never got there."""

    record: RunRecord
    folder: Path
    profile: Profile | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: exit code, wall time, and the processes it was."""

    exit_code: int
    wall_s: float
    launcher: int = 0
    pid: int = 0


@dataclass(slots=True)
class _Seen:
    """What is known so far."""

    ended: Ended | None = None
    plain: list[Ended] = field(default_factory=list)
    counters: Counters = field(default_factory=lambda: Counters({}, "the command was only sampled"))
    profile: Profile | None = None


def profile(request: Request, say: Say = lambda line: None) -> Profiled:
    """Profile a command and leave a run folder of kind "profile".

    Parameters
    ----------
    request : Request   what to profile
    say : callable      is told in a line what happens now

    Returns
    -------
    Profiled   however the command ended; one that fails raises nothing

    Raises
    ------
    SamplerError   if py-spy is missing or may not look at processes, before anything is run

    Cost    the command two or three times, once slower by the overhead that the profile names.
    """
    if sys.platform == "darwin":
        say(f"Apple's own profiler does the same: {sampler.on_macos(request.target.words)}")
    sampler.check()
    run_file = RunFile.create(_begun(request))
    seen = _Seen()
    try:
        with tempfile.TemporaryDirectory(prefix="workbench-profile-") as name:
            _observe(request, Path(name), seen, say)
    except BaseException as error:
        status: Status = "failed" if isinstance(error, Exception) else "interrupted"
        run_file.finish(status, f"{type(error).__name__}: {error}")
        raise
    if seen.profile is not None:
        profile_file.write(run_file.folder, seen.profile)
    contended = run_file.record.contended or registry.ran_meanwhile(run_file.record)
    status, reason = _outcome(seen)
    finished = run_file.finish(status, reason, contended=contended)
    return Profiled(finished, run_file.folder, seen.profile)


def _begun(request: Request) -> RunRecord:
    target = request.target
    contended = bool(registry.measuring_now())
    params = target.params or DayParams()
    begun = record.new(FOLDER, params, "workbench", label=request.label, contended=contended)
    told = {"command": target.shown, "rate_hz": request.rate_hz}
    preset = params.preset if target.params else ""
    return begun.model_copy(update={"kind": "profile", "params": told, "preset": preset})


def _observe(request: Request, folder: Path, seen: _Seen, say: Say) -> None:
    target = request.target
    sampling = Sampling(request.rate_hz, sampler.sees_native())
    if request.compare:
        say(f"without the sampler, for comparison: {target.shown}")
        _run_plain(target, folder, seen)
        if not _went_well(seen.plain[0]):
            return
    say(f"under {sampler.version()}, {request.rate_hz} samples a second: {target.shown}")
    samples = folder / "samples.json"
    environment = {
        **_environment(folder / "sampled"),
        symbol_map.FOLDER_VARIABLE: str(folder),
        phases.FOLDER_VARIABLE: str(folder),
    }
    with _Output() as output:
        command = _launched(target, folder / "ended.json", output.number)
        n_errors = sampler.record(command, environment, sampling, samples, output.number)
    seen.ended = _ended(folder / "ended.json")
    if request.compare and seen.plain[0].wall_s < _SHORT_S:
        say(f"once more without the sampler: {target.shown}")
        _run_plain(target, folder, seen)
    seen.profile = _profile(request, sampling, folder, seen, n_errors)


def _run_plain(target: Target, folder: Path, seen: _Seen) -> None:
    reason = counters.missing()
    name = f"plain{len(seen.plain)}"
    counted = folder / f"{name}.counts"
    with _Output() as output:
        command = _launched(target, folder / f"{name}.json", output.number)
        subprocess.run(
            command if reason else counters.wrap(command, counted),
            env=_environment(folder / name),
            pass_fds=(output.number,),
            check=False,
        )
    seen.plain.append(_ended(folder / f"{name}.json"))
    seen.counters = Counters({}, reason) if reason else counters.read(counted)


def _launched(target: Target, answer: Path, output: int) -> list[str]:
    script = str(Path(launch.__file__))
    return [sys.executable, "-S", script, str(answer), str(output), *target.command]


def _environment(runs: Path) -> dict[str, str]:
    runs.mkdir()
    return {**os.environ, **isolated(runs)}


def _ended(answer: Path) -> Ended:
    if not answer.exists():
        raise ProfileError("the command was stopped before its end; nothing is known of it")
    return Ended(**json.loads(answer.read_bytes()))


def _profile(
    request: Request, sampling: Sampling, folder: Path, seen: _Seen, n_errors: int
) -> Profile:
    assert seen.ended is not None
    samples = stacks.read(
        folder / "samples.json",
        request.target.cells(),
        symbols.read_all(folder),
        leave_out=seen.ended.launcher,
    )
    frames, rows = profile_file.folded(samples.stacks)
    return Profile(
        command=request.target.shown,
        sampler=sampler.version(),
        rate_hz=sampling.rate_hz,
        native=sampling.native,
        n_samples=samples.n_samples,
        n_waiting=samples.n_waiting,
        n_errors=n_errors,
        profiled_s=seen.ended.wall_s,
        plain_s=tuple(one.wall_s for one in seen.plain),
        counters=dict(seen.counters.counts),
        counters_reason=seen.counters.reason,
        fault_us=page_faults.cost_us(),
        frames=tuple(frames),
        stacks=tuple(rows),
        **_phases(folder, samples.pids),
    )


def _phases(folder: Path, pids: frozenset[int]) -> Mapping[str, Any]:
    """Return the phases of the sampled process that spent most time in any."""
    told = [
        json.loads(path.read_bytes()) for pid in pids if (path := phases.path(folder, pid)).exists()
    ]
    if not told:
        return {}
    busiest = max(told, key=lambda one: sum(row["own_ns"] for row in one["phases"].values()))
    rows = tuple({"name": name, **row} for name, row in busiest["phases"].items())
    return {"phases": rows, "usage": busiest["process"]}


def _went_well(ended: Ended | None) -> bool:
    """Tell whether a command did its work: a refuted claim is a result, too."""
    return ended is not None and ended.exit_code in (EXIT_CODES["ok"], EXIT_CODES["refuted"])


def _outcome(seen: _Seen) -> tuple[Status, str]:
    ended = seen.ended or next(iter(seen.plain), None)
    if _went_well(ended):
        return "ok", ""
    code = ended.exit_code if ended else None
    statuses: dict[int, Literal["timed_out", "killed", "interrupted"]] = {
        4: "timed_out",
        5: "killed",
        130: "interrupted",
    }
    status: Status = statuses.get(code, "failed") if code is not None else "failed"
    return status, f"the command ended with exit code {code}; run it by itself to see why"


class _Output:
    """A descriptor for a command's own output: our stderr, because stdout holds our answer."""

    def __enter__(self) -> _Output:
        self.number = os.dup(2)
        os.set_inheritable(self.number, True)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)
