"""Observe what a run ran on and with: machine, code, packages, process.

Follows: asv and aim: everything recorded without being asked for.
Leaves out: environment variables and arguments; they hold secrets and paths.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import psutil

from workbench import paths
from workbench.runs.publish import write_atomic

# Start times of one process read at two moments differ by rounding and clock corrections.
_SAME_START_S = 2.0


@dataclass(frozen=True, slots=True)
class Code:
    """The checkout's state; empty where there is no git."""

    sha: str = ""
    dirty: bool = False
    branch: str = ""


def code() -> Code:
    """Return commit, branch and whether anything differs from the commit."""
    command = ["git", "-C", str(paths.root()), "status", "--porcelain=v2", "--branch"]
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, env=quiet)
    except (OSError, subprocess.CalledProcessError):
        return Code()
    lines = answer.stdout.splitlines()
    facts = {line.split()[1]: line.split(maxsplit=2)[2] for line in lines if line.startswith("# ")}
    return Code(
        sha=facts.get("branch.oid", "")[:12].strip("()"),
        dirty=any(not line.startswith("#") for line in lines),
        branch=facts.get("branch.head", "").strip("()"),
    )


@cache
def packages() -> tuple[str, ...]:
    """Return every installed ``name==version``, sorted."""
    return tuple(sorted({f"{item.name.lower()}=={item.version}" for item in distributions()}))


def packages_hash() -> str:
    """Return 12 hex digits over the installed packages; the list itself is kept once a hash."""
    text = "\n".join(packages()) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    kept = paths.runs() / "packages" / f"{digest}.txt"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, text.encode())
    return digest


def python_version() -> str:
    """Return the interpreter's name and version."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def process_started(pid: int) -> float | None:
    """Return when a live process began, seconds since the epoch; None once it is gone."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return 0.0  # there is one, but not ours to look at


def is_running(pid: int, started: float) -> bool:
    """Tell whether the very process is alive, not another one under its number."""
    now = process_started(pid)
    return now is not None and abs(now - started) < _SAME_START_S


def resolve_store(store: str) -> Path:
    """Return the folder that a ``store`` parameter names; ``data/...`` follows the data folder."""
    path = Path(store).expanduser()
    if path.is_absolute():
        return path
    if path.parts[:1] == ("data",):
        return paths.data().joinpath(*path.parts[1:])
    return paths.root() / path


def peak_rss_bytes(pid: int) -> int | None:
    """Return the most memory a live process has held so far; None once it is gone.

    Elsewhere than on Linux this is what it holds now. Not getrusage: on Linux that also counts
    what the parent held before the process was its own.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        return int(psutil.Process(pid).memory_info().rss) or None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
