"""Put Week 1 on one page: every target with its baseline, what is reached now, and the ceiling.

Follows: the team's first report, section 5; "now" and "baseline" are measured in one run.
Leaves out: measuring (week_measurements.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from workbench.benchmark.week.targets import Target, standing


@dataclass(frozen=True, slots=True)
class Measured:
    """One target's line.

    Attributes
    ----------
    target : Target
    baseline, now : float or None   in the target's unit; None: not measured here
    ceiling : float or None         the most (or least) that this machine or workload allows
    how : str                       what baseline, now and ceiling are, in this order; or what lacks
    """

    target: Target
    baseline: float | None
    now: float | None
    ceiling: float | None
    how: str


def review(lines: Iterable[Measured]) -> pl.DataFrame:
    """Return the table: a row a target.

    Columns
    -------
    verdict        *reached*, *open*, *out of reach here* (the ceiling lies short of the target), or
                   *not measured yet*
    times better   now over baseline; baseline over now where less is better
    of ceiling     how much of what is possible is reached, 0..1 and a little more
    """
    return pl.DataFrame([_row(line) for line in lines], schema=_SCHEMA)


def explanations(lines: Iterable[Measured]) -> pl.DataFrame:
    """Return what baseline, present value and ceiling of each line are; a row a different one."""
    by_how: dict[str, list[str]] = {}
    for line in lines:
        by_how.setdefault(line.how, []).append(line.target.name)
    rows = [{"target": "; ".join(names), "what was measured": how} for how, names in by_how.items()]
    return pl.DataFrame(rows, schema={"target": pl.String(), "what was measured": pl.String()})


_SCHEMA: dict[str, pl.DataType] = {
    "target": pl.String(),
    "verdict": pl.String(),
    "baseline": pl.Float64(),
    "now": pl.Float64(),
    "ceiling": pl.Float64(),
    "wanted": pl.Float64(),
    "unit": pl.String(),
    "times better": pl.Float64(),
    "of ceiling": pl.Float64(),
}


def _row(line: Measured) -> dict[str, object]:
    target = line.target
    return {
        "target": target.name,
        "verdict": standing(target, line.now, line.ceiling),
        "baseline": line.baseline,
        "now": line.now,
        "ceiling": line.ceiling,
        "wanted": target.wanted,
        "unit": target.unit,
        "times better": _times(line.now, line.baseline, target.smaller_is_better),
        "of ceiling": _times(line.now, line.ceiling, target.smaller_is_better),
    }


def _times(now: float | None, other: float | None, smaller_is_better: bool) -> float | None:
    if not now or not other:
        return None
    return other / now if smaller_is_better else now / other
