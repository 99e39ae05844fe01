"""Say which phase of the work a thread is in, and add up how long each took.

Follows: llama.cpp's own timings: a few coarse names, not a trace.
Leaves out: where in the code the time goes (workbench/profiling samples that), and what belongs to
no phase. ``_READS = Phase("tier reads")`` at the top of a module, ``with _READS:`` around the work;
what is nested in a phase is taken out of its own time.

Off, which is the rule, a phase costs 80 ns; on, about 3 us (both on a loaded Zen 3). `start`
switches on. The environment variable `FOLDER_VARIABLE` does so when workbench is imported, and has
what was added up written into that folder when the process ends.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

FOLDER_VARIABLE = "WORKBENCH_PHASES"

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Total:
    """What one phase came to, over all threads.

    Attributes
    ----------
    calls : int          how often it was entered
    whole_ns : int       wall time in it; of a phase nested in itself the inner one counts twice
    own_ns : int         that part of it that was spent in no phase nested in it
    minor_faults : int   pages mapped without the disk in that part
    major_faults : int   pages read from the disk in that part
    """

    calls: int = 0
    whole_ns: int = 0
    own_ns: int = 0
    minor_faults: int = 0
    major_faults: int = 0

    def add(self, other: Total) -> None:
        """Add another thread's."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Usage:
    """What the whole process used since the phases were switched on, threads added up."""

    wall_s: float
    user_s: float
    system_s: float
    minor_faults: int
    major_faults: int


class _Open:
    """A phase that a thread is in: what it read on entering, and what its nested phases took."""

    __slots__ = ("major", "minor", "nested_major", "nested_minor", "nested_ns", "ns")

    def __init__(self) -> None:
        self.minor, self.major = _faults()
        self.nested_ns = self.nested_minor = self.nested_major = 0
        self.ns = time.perf_counter_ns()


class _Thread(threading.local):
    """One thread's totals and the phases it is in; only its making needs the lock."""

    def __init__(self) -> None:
        self.totals: dict[str, Total] = {}
        self.open: list[_Open] = []
        with _LOCK:
            _THREADS.append((self.totals, self.open))


_LOCK = threading.Lock()
_THREADS: list[tuple[dict[str, Total], list[_Open]]] = []
_PHASES: list[Phase] = []
_HERE = _Thread()
_began: tuple[float, resource.struct_rusage] | None = None
_THREAD_USAGE: int | None = getattr(resource, "RUSAGE_THREAD", None)


class Phase:
    """A named phase: ``with READS:`` around the work, or ``@READS.timed`` on a function.

    Make one at the top of a module. A generator or coroutine must not yield inside one.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name
        with _LOCK:
            _PHASES.append(self)
            self.__class__ = Phase if _began is None else _Running

    # Static, so that no method has to be bound: 80 ns for both instead of 145.
    @staticmethod
    def __enter__() -> None:
        """Enter the phase; off: nothing."""

    @staticmethod
    def __exit__(*_: object) -> None:
        """Leave the phase; off: nothing."""

    def timed(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function with every call of it in this phase."""

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return run


class _Running(Phase):
    """What every `Phase` is made while the phases are on."""

    __slots__ = ()

    def __enter__(self) -> None:  # type: ignore[override]
        _HERE.open.append(_Open())

    def __exit__(self, *_: object) -> None:  # type: ignore[override]
        now_ns = time.perf_counter_ns()
        here = _HERE.open
        if not here:  # entered before the phases were switched on
            return
        ended = here.pop()
        minor, major = _faults()
        took_ns, minor, major = now_ns - ended.ns, minor - ended.minor, major - ended.major
        total = _HERE.totals.get(self.name)
        if total is None:
            total = _HERE.totals[self.name] = Total()
        total.calls += 1
        total.whole_ns += took_ns
        total.own_ns += took_ns - ended.nested_ns
        total.minor_faults += minor - ended.nested_minor
        total.major_faults += major - ended.nested_major
        if here:
            around = here[-1]
            around.nested_ns += took_ns
            around.nested_minor += minor
            around.nested_major += major


def _faults() -> tuple[int, int]:
    """Return this thread's minor and major faults; 0 where a thread cannot tell (not Linux)."""
    if _THREAD_USAGE is None:
        return 0, 0
    used = resource.getrusage(_THREAD_USAGE)
    return used.ru_minflt, used.ru_majflt


def start() -> None:
    """Switch the phases on and count from zero."""
    global _began
    with _LOCK:
        for totals, entered in _THREADS:
            totals.clear()
            entered.clear()
        _began = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        for phase in _PHASES:
            phase.__class__ = _Running


def stop() -> None:
    """Switch the phases off; what was added up stays until the next `start`."""
    global _began
    with _LOCK:
        _began = None
        for phase in _PHASES:
            phase.__class__ = Phase


def totals() -> dict[str, Total]:
    """Return every phase that was left, all threads together, the longest own time first."""
    summed: dict[str, Total] = {}
    with _LOCK:
        threads = [dict(totals) for totals, _ in _THREADS]
    for one in threads:
        for name, total in one.items():
            summed.setdefault(name, Total()).add(total)
    return dict(sorted(summed.items(), key=lambda item: -item[1].own_ns))


def usage() -> Usage:
    """Return what the process used since `start`; all 0 if the phases are off."""
    if _began is None:
        return Usage(0.0, 0.0, 0.0, 0, 0)
    wall, then = _began
    now = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(
        wall_s=time.perf_counter() - wall,
        user_s=now.ru_utime - then.ru_utime,
        system_s=now.ru_stime - then.ru_stime,
        minor_faults=now.ru_minflt - then.ru_minflt,
        major_faults=now.ru_majflt - then.ru_majflt,
    )


def path(folder: Path, pid: int) -> Path:
    """Return where the totals of a process lie."""
    return folder / f"phases-{pid}.json"


def write(folder: Path) -> None:
    """Write this process's totals and usage into the folder."""
    by_phase = {name: asdict(total) for name, total in totals().items()}
    text = json.dumps({"phases": by_phase, "process": asdict(usage())})
    path(folder, os.getpid()).write_text(text, encoding="utf-8")


def _start_if_asked() -> None:
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        start()
        atexit.register(write, Path(folder))


_start_if_asked()
