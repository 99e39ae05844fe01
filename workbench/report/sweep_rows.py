"""Turn a sweep's runs into the rows of a chart: where each is drawn, its ratio or how it ended.

Follows: a run without a ratio is a row like any other.
Leaves out: drawing (sweep_charts.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from workbench.report.numbers import MISSING, quantity
from workbench.report.palette import OTHERS
from workbench.report.status import status_of
from workbench.runs.record import RunRecord
from workbench.runs.swept import Swept


@dataclass(frozen=True, slots=True)
class Roles:
    """Which parameter is drawn how: along the axis, as colour, as panels."""

    x: str
    series: str | None
    panels: tuple[str, ...]

    @classmethod
    def of(cls, axes: Mapping[str, tuple[Any, ...]]) -> Roles:
        """Put numbers along the axis, and as colour what has few enough values."""
        by_length = sorted(axes, key=lambda name: (_is_numeric(axes[name]), len(axes[name])))
        *rest, x = by_length
        few = [name for name in rest if len(axes[name]) <= len(OTHERS)]
        series = few[-1] if few else None
        return cls(x, series, tuple(name for name in axes if name in rest and name != series))

    @property
    def listed(self) -> str:
        """Return the parameters' names as a sentence has them: a, b and c."""
        *others, last = (name for name in (self.x, self.series, *self.panels) if name)
        return " and ".join(filter(None, (", ".join(others), last)))


def run_rows(sweep: Swept, records: Sequence[RunRecord], roles: Roles) -> pl.DataFrame:
    """Return one row a run.

    Returns
    -------
    rows : polars.DataFrame   columns ``x``, ``series``, ``panel`` and ``repeat`` say where it is
                              drawn; ``ratio``, ``low`` and ``high`` are null without a verdict;
                              ``counts`` tells whether its verdict does; ``text``, ``span``,
                              ``state`` and, without a ratio, ``word`` say it in words
    """
    begun: Counter[tuple[str, ...]] = Counter()
    rows = []
    for record in records:
        point = sweep.point(record)
        place = {
            "x": value_text(point[roles.x]),
            "series": value_text(point[roles.series]) if roles.series else "",
            "panel": ", ".join(f"{name}={value_text(point[name])}" for name in roles.panels),
        }
        begun[tuple(place.values())] += 1
        rows.append({**place, "repeat": begun[tuple(place.values())], **_outcome(record)})
    floats = dict.fromkeys(("ratio", "low", "high"), pl.Float64())
    return pl.DataFrame(rows, schema_overrides=floats)


def _outcome(record: RunRecord) -> dict[str, Any]:
    status, verdict = status_of(record), record.verdict
    ratio = verdict.ratio if verdict else None
    again = f", begun {record.attempts} times" if record.attempts > 1 else ""
    return {
        "ratio": ratio.median if ratio else None,
        "low": ratio.low if ratio else None,
        "high": ratio.high if ratio else None,
        "counts": record.status in ("ok", "refuted"),
        "word": status.text.lower() if ratio is None else "",
        "state": f"{status.text}{again}",
        "text": quantity(ratio.median, "x") if ratio else "no ratio",
        "span": f"{quantity(ratio.low, 'x')} to {quantity(ratio.high, 'x')}" if ratio else "none",
    }


def value_text(value: Any) -> str:
    """Return a parameter's value as it is typed."""
    return MISSING if value is None else str(value)


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)
