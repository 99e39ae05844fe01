"""Find the runs that one sweep has left in the registry, and the points that have none.

Follows: a sweep is the runs that share its id, however often it was resumed, wherever they ran. A
grid that was made larger is another sweep, and has the runs of the smaller one that it resumed.
Leaves out: making them (sweep.py).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import UsageError
from workbench.runs import registry, summary
from workbench.runs.days import find_day
from workbench.runs.grid import grid_id
from workbench.runs.record import COMPLETE, RunRecord

Point = Mapping[str, Any]
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Swept:
    """What there is of one sweep.

    Attributes
    ----------
    id : str            that its runs share, but those of a smaller sweep that it went on with
    records : tuple     its runs and those, in the order of the grid, of one point oldest first
    axes : mapping      the parameters that were swept, and the values that runs were begun with:
                        numbers by size, others in the order in which they were first run
    """

    id: str
    records: tuple[RunRecord, ...]
    axes: Mapping[str, tuple[Any, ...]]

    @classmethod
    def of(cls, records: Sequence[RunRecord]) -> Swept:
        """Put the runs of one sweep in the grid's order; there has to be one at least."""
        oldest_first = sorted(records, key=lambda run: (run.started, run.run_id))
        axes = {name: _values(oldest_first, name) for name in summary.varying(oldest_first)}
        places = {name: {value: n for n, value in enumerate(axes[name])} for name in axes}
        in_order = sorted(
            oldest_first, key=lambda run: [places[name][_value(run, name)] for name in axes]
        )
        return cls(records[0].sweep, tuple(in_order), axes)

    @property
    def day(self) -> str:
        """Return the name of the day that was swept."""
        return self.records[0].day

    @property
    def reused(self) -> tuple[RunRecord, ...]:
        """Return the runs that a smaller sweep had made already."""
        return tuple(record for record in self.records if record.sweep != self.id)

    @property
    def latest(self) -> RunRecord:
        """Return the run that was begun last."""
        return max(self.records, key=lambda run: (run.started, run.run_id))

    def point(self, record: RunRecord) -> Point:
        """Return a run's place in the grid."""
        return {name: _value(record, name) for name in self.axes}

    def missing(self) -> list[Point]:
        """Return the points of the grid that no run was begun for.

        A value that no run at all was begun with is not known here, so neither are its points.
        """
        begun = [self.point(record) for record in self.records]
        grid = (
            dict(zip(self.axes, values, strict=True))
            for values in itertools.product(*self.axes.values())
        )
        return [point for point in grid if point not in begun]


def all_of(records: Sequence[RunRecord]) -> list[Swept]:
    """Return every sweep among these runs, the one that was run last first."""
    grids: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        if is_id(record.sweep):
            grids.setdefault((record.day, record.sweep), []).append(record)
    oldest_first = sorted(grids.items(), key=lambda grid: min(run.started for run in grid[1]))
    whole: list[list[RunRecord]] = []
    for _, runs in oldest_first:
        whole.append([*runs, *_reused(runs, whole)])
    found = [Swept.of(runs) for runs in whole]
    return sorted(found, key=lambda sweep: sweep.latest.started, reverse=True)


def _reused(runs: Sequence[RunRecord], earlier: Sequence[Sequence[RunRecord]]) -> list[RunRecord]:
    """Return the complete runs of the smaller sweep whose points a sweep's own lack.

    A sweep's id is made of all its points, so it tells which other sweep's points are among them.
    """
    one = runs[0]
    points = {run.params_hash for run in runs}
    if grid_id(one.day, one.label, points) == one.sweep:
        return []
    for others in reversed(earlier):
        if (others[0].day, others[0].label) == (one.day, one.label):
            both = points | {run.params_hash for run in others}
            if grid_id(one.day, one.label, both) == one.sweep:
                return [
                    run
                    for run in others
                    if run.status in COMPLETE and run.params_hash not in points
                ]
    return []


def is_id(text: str) -> bool:
    """Tell whether a text can be a sweep's id: records may come from elsewhere, and name files."""
    return _ID.fullmatch(text) is not None


def find(name: str) -> Swept:
    """Return the sweep whose id begins so, else the last one with this label, or of this day.

    Raises
    ------
    UsageError   if there is none, or an id could be any of several
    """
    known = all_of(registry.listing().records)
    by_id = [sweep for sweep in known if sweep.id.startswith(name)]
    if len(by_id) > 1:
        ids = ", ".join(sweep.id for sweep in by_id[:5])
        raise UsageError(f"{name} could be any of {len(by_id)} sweeps ({ids}); give more of it")
    named = by_id or [sweep for sweep in known if name in (sweep.records[0].label, sweep.day)]
    if named:
        return named[0]
    if find_day(name) is not None or not known:
        day = name if find_day(name) is not None else "day01"
        raise UsageError(f"there is no sweep {name}; make one: workbench sweep {day} -p NAME=V1,V2")
    told = ", ".join(f"{sweep.id} ({sweep.day})" for sweep in known[:5])
    raise UsageError(f"unknown sweep {name}; the last ones are {told}")


def _value(record: RunRecord, name: str) -> Any:
    value = record.params.get(name)
    return value if isinstance(value, str | int | float | None) else str(value)


def _values(records: Sequence[RunRecord], name: str) -> tuple[Any, ...]:
    seen = list(dict.fromkeys(_value(record, name) for record in records))
    if all(isinstance(value, int | float) for value in seen):
        seen.sort()
    return tuple(seen)
