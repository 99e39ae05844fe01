"""Turn py-spy's samples into stacks of named frames, waiting threads left out.

Follows: the speedscope format; its stacks start at the outermost call.
Leaves out: when a sample was taken, and which thread it is of.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any

from workbench.profiling.frames import CELL, NAMELESS, Frame, Naming, named
from workbench.profiling.symbols import SymbolMap

OUTSIDE = Frame("start-up and machinery", "outside cells and verbs", "package")
_PROFILE = re.compile(r"Process (\d+)\b")
# With C stacks py-spy reports every thread, asleep or not; these are where one sleeps.
_ASLEEP = frozenset(
    re.findall(
        r"\w+",
        "poll ppoll epoll_wait epoll_pwait select pselect nanosleep clock_nanosleep wait4 waitpid "
        "waitid pthread_cond_wait pthread_cond_timedwait pthread_join sem_wait sem_timedwait "
        "sem_clockwait futex futex_wait accept accept4 recv recvmsg recvfrom sigtimedwait kevent",
    )
)
# Of the C below the last Python call (LLVM's is hundreds deep) both ends are shown.
_N_OUTER, _N_INNER = 2, 2
_N_DEEPEST = 3  # a wait shows at most two frames of the C library below it
# The kernel's own threads wait in other places, too, and are never what is measured.
_SERVICE = ("ipykernel", "zmq", "tornado", "IPython")
# What a command's own code starts below.
_ENTRANCES = ("workbench/__main__.py", "workbench/cli/__init__.py")

Stack = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Stacks with the seconds sampled in them, and what of the samples is not among them."""

    stacks: Mapping[Stack, float]
    n_samples: int
    n_waiting: int
    pids: frozenset[int]


def read(
    path: Path,
    cells: Mapping[int, str],
    symbols: Mapping[int, SymbolMap],
    leave_out: int | None = None,
) -> Samples:
    """Read py-spy's file; of a notebook's processes only the one that executes its cells counts.

    Parameters
    ----------
    path : Path        in speedscope format
    cells : mapping    hash of a cell's source, as ipykernel makes it, -> what to call the cell
    symbols : mapping  process id -> its compiled functions
    leave_out : int    a process that does not count, as the launcher
    """
    told = json.loads(path.read_bytes())
    raw = told["shared"]["frames"]
    counted = _executing(told) if cells else {_pid(one) for one in told["profiles"]}
    counted.discard(leave_out or 0)
    profiles = [one for one in told["profiles"] if _pid(one) in counted]
    stacks: defaultdict[Stack, float] = defaultdict(float)
    n_samples = n_waiting = 0
    namings = {pid: Naming(cells, symbols.get(pid, SymbolMap([]))) for pid in counted}
    names = {pid: [named(frame, naming) for frame in raw] for pid, naming in namings.items()}
    for profile in profiles:
        known = names[_pid(profile)]
        for sample, seconds in zip(profile["samples"], profile["weights"], strict=True):
            n_samples += 1
            frames = [known[index] for index in sample]
            if is_waiting([raw[index]["name"] for index in sample], frames):
                n_waiting += 1
            else:
                stacks[shown(frames)] += seconds
    return Samples(stacks, n_samples, n_waiting, frozenset(counted))


def _pid(profile: Mapping[str, Any]) -> int:
    found = _PROFILE.search(profile["name"])
    return int(found[1]) if found else 0


def _executing(told: Mapping[str, Any]) -> set[int]:
    """Return the processes that execute cells; all of them if none got that far."""
    is_cell = [CELL.search(str(frame.get("file"))) for frame in told["shared"]["frames"]]
    found = {
        _pid(profile)
        for profile in told["profiles"]
        if any(is_cell[index] for sample in profile["samples"] for index in sample)
    }
    return found or {_pid(profile) for profile in told["profiles"]}


def is_waiting(names: Sequence[str], frames: Sequence[Frame | None]) -> bool:
    """Tell whether a sampled thread slept, or serves the notebook's kernel."""
    if _ASLEEP.intersection(names[-_N_DEEPEST:]):
        return True
    places = [frame.place for frame in frames if frame is not None]
    is_thread = any(name.startswith("Thread._bootstrap") for name in names)
    return is_thread and any(place in _SERVICE for place in places)


def shown(frames: Sequence[Frame | None]) -> Stack:
    """Return the frames worth showing, from the cell or the command's own code on."""
    own = list(_without_glue([frame for frame in frames if frame is not None]))
    begins = next((place for place, frame in enumerate(own) if frame.kind == "cell"), None)
    if begins is None:
        begins = next((place for place, frame in enumerate(own) if _is_own(frame)), None)
    if begins is None:
        return (OUTSIDE, *dropwhile(lambda frame: frame.name.endswith(NAMELESS), own))
    return tuple(own[begins:])


def _is_own(frame: Frame) -> bool:
    is_import = frame.name.startswith("import ")
    return frame.kind == "project" and frame.place not in _ENTRANCES and not is_import


def _without_glue(frames: Sequence[Frame]) -> Iterator[Frame]:
    """Yield the frames without C between two Python calls, and without repeats of one import."""
    last_python = max(
        (place for place, frame in enumerate(frames) if frame.kind != "native"), default=-1
    )
    inner_c = range(last_python + 1 + _N_OUTER, len(frames) - _N_INNER)
    before = None
    for place, frame in enumerate(frames):
        if (frame.kind == "native" and place < last_python) or place in inner_c:
            continue
        if frame == before and frame.name.startswith("import "):
            continue
        yield frame
        before = frame
