"""Run a command under py-spy, the sampling profiler, or say what keeps it from working.

Follows: py-spy 0.4: it stops the process, reads its Python stacks from outside and, with --native,
unwinds its C stacks, too; as the parent it needs no more rights than yama's default gives.
Leaves out: threads that never run Python, such as Numba's and BLAS's pools: py-spy does not see
them (Linux' perf does, and reads the same symbol maps from /tmp).
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workbench.errors import WorkbenchError

_PROBED_S = 0.4
_PROBE_TIMEOUT_S = 60
_FIX_MISSING = "make setup"
_FIX_MAC = "run it with sudo, or use Apple's own profiler as said above"
_FIX_LINUX = (
    "in a container add --cap-add=SYS_PTRACE; elsewhere sudo sysctl kernel.yama.ptrace_scope=1"
)
_COUNTS = re.compile(r"Samples: (\d+) Errors: (\d+)")


class SamplerError(WorkbenchError):
    """The sampling profiler is not there, or may not look at a process."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample: how often a second, and whether C and compiled code are looked into."""

    rate_hz: int
    native: bool


def program() -> str:
    """Return py-spy's path: this environment's own, else the one on PATH.

    Raises
    ------
    SamplerError   if there is none
    """
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise SamplerError(f"py-spy is not installed\nfix: {_FIX_MISSING}")
    return found


@cache
def version() -> str:
    """Return ``py-spy 0.4.3``."""
    return _run([program(), "--version"]).stdout.strip()


@cache
def sees_native() -> bool:
    """Tell whether this py-spy can unwind C stacks; it cannot on macOS."""
    return "--native" in _run([program(), "record", "--help"]).stdout


def check() -> None:
    """Sample a process that sleeps, so that a long run is not made in vain.

    Raises
    ------
    SamplerError   if py-spy is missing or may not read another process

    Cost    about 1 s.
    """
    sleep = [sys.executable, "-S", "-c", f"import time; time.sleep({_PROBED_S})"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "probe"
        probe = [program(), "record", "--idle", "--format", "raw", "--output", str(output)]
        answer = _run([*probe, "--", *sleep])
        if output.exists() and output.stat().st_size:
            return
    raise refused(answer.stderr)


def refused(said: str, system: str = sys.platform) -> SamplerError:
    """Return the error for what py-spy said when it could not sample a process that sleeps."""
    fix = _FIX_MAC if system == "darwin" else _FIX_LINUX
    return SamplerError(f"py-spy may not read another process: {_reason(said)}\nfix: {fix}")


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("Error:")), "").removeprefix("Error:")
    return reason.strip() or (lines[-1] if lines else "it gave no reason")


def on_macos(words: Sequence[str]) -> str:
    """Return the command of Apple's profiler that samples the same, C stacks too, without sudo."""
    command = shlex.join([".venv/bin/python", "-m", "workbench", *words])
    return f"xctrace record --template 'Time Profiler' --launch -- {command}"


def record(
    command: Sequence[str],
    environment: Mapping[str, str],
    sampling: Sampling,
    output: Path,
    descriptor: int,
) -> int:
    """Run a command and the Python processes it starts under py-spy; samples go to ``output``.

    Parameters
    ----------
    descriptor : int   open, for the command to inherit

    Returns
    -------
    n_errors : int   samples that could not be read; how the command ended py-spy keeps to itself

    Raises
    ------
    SamplerError   if there are no samples
    """
    options = ["--rate", str(sampling.rate_hz), "--format", "speedscope", "--output", str(output)]
    options += ["--function", "--subprocesses", *(["--native"] if sampling.native else [])]
    answer = subprocess.run(
        [program(), "record", *options, "--", *command],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=dict(environment),
        pass_fds=(descriptor,),
    )
    if not output.exists():
        what = f"py-spy took no samples: {_reason(answer.stderr)}"
        raise SamplerError(f"{what}\nfix: profile something that runs for a second or more")
    counts = _COUNTS.search(answer.stdout + answer.stderr)
    return int(counts[2]) if counts else 0


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_PROBE_TIMEOUT_S
    )
