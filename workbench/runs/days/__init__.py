"""The days that exist, by name, and experiments beside them.

Follows: one file a day or experiment; an experiment runs only when it is named.
Leaves out: running them (runs/execute.py).
"""

from __future__ import annotations

from workbench.errors import UsageError
from workbench.runs.days.day import Day
from workbench.runs.days.day01_baseline import DAY01
from workbench.runs.days.day02_ssd_io import DAY02
from workbench.runs.days.day03_simd_store import DAY03
from workbench.runs.days.day04_batch_prefetch import DAY04
from workbench.runs.days.day05_week1_review import DAY05
from workbench.runs.days.day22_kv_compression import DAY22
from workbench.runs.days.day23_inactive_layers import DAY23
from workbench.runs.days.day24_network_tier import DAY24
from workbench.runs.days.trace_replay import TRACE_REPLAY
from workbench.runs.params import closest

__all__ = ["DAYS", "EXPERIMENTS", "Day", "find_day", "get_day"]

_ALL = (DAY01, DAY02, DAY03, DAY04, DAY05, DAY22, DAY23, DAY24)
DAYS: dict[str, Day] = {day.name: day for day in _ALL}
# Made for sweeps: not among the days that `run all` and the report go through.
EXPERIMENTS: dict[str, Day] = {TRACE_REPLAY.name: TRACE_REPLAY}


def find_day(name: str) -> Day | None:
    """Return the day or experiment of that name; None if this version has no such one."""
    return DAYS.get(name) or EXPERIMENTS.get(name)


def get_day(name: str) -> Day:
    """Return the day or experiment of that name.

    Raises
    ------
    UsageError   with the day that was probably meant, or all there are
    """
    if (day := find_day(name)) is not None:
        return day
    known = [*DAYS, *EXPERIMENTS]
    guess = closest(name, known)
    hint = f"did you mean {guess}?" if guess else f"there are {', '.join(known)}"
    raise UsageError(f"unknown day {name}; {hint}")
