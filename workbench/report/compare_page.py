"""The page of two runs side by side: rows are metrics, columns are runs, equal rows fold.

Follows: asv: runs of different machines stand side by side and are never judged.
Leaves out: comparing (workbench/runs/compare.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.report import facts, shell
from workbench.report.numbers import MISSING, plain_name, quantity
from workbench.report.status import Status, status_of
from workbench.runs.compare import Comparison
from workbench.runs.record import RunRecord


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs in its column's head."""

    name: str
    record: RunRecord
    status: Status
    outcome: str
    facts: tuple[facts.Fact, ...]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One measured case in both runs, as text."""

    what: str
    place: str
    a: str
    b: str
    change: str
    differs: bool


def render_comparison(comparison: Comparison, home: str | None = None) -> str:
    """Return the page of a comparison.

    Parameters
    ----------
    comparison : Comparison   two runs, their medians and parameters
    home : str                file name of the index beside the page, or None: it stands alone
    """
    measured = sorted(comparison.metrics.iter_rows(named=True), key=_natural_order)
    rows = [_metric_row(row) for row in measured]
    params = comparison.params.to_dicts()
    return shell.render(
        "compare.html.j2",
        scripts=("compare.js",),
        home=home,
        sides=[_side("A", comparison.run_a), _side("B", comparison.run_b)],
        machines_differ=comparison.machines_differ,
        params=params,
        rows=rows,
        n_equal=sum(not row.differs for row in rows) + sum(not row["differs"] for row in params),
    )


def _side(name: str, record: RunRecord) -> Side:
    verdict = record.verdict
    ratio = MISSING
    if verdict is not None:
        low, high = quantity(verdict.ratio.low, "x"), quantity(verdict.ratio.high, "x")
        ratio = f"{quantity(verdict.ratio.median, 'x')} ({low} to {high})"
    told = (
        ("Run", record.run_id),
        ("Started", shell.moment(record.started)),
        ("Headline ratio", ratio),
        ("Machine", facts.machine_name(record.machine)),
        ("Machine id", record.machine_id),
        ("Commit", facts.commit(record)),
    )
    return Side(name, record, status_of(record), facts.outcome(record), told)


def _natural_order(row: Mapping[str, Any]) -> list[tuple[int, float, str]]:
    """Sort numbers inside names by value, so that block_kib=16 comes before block_kib=256."""
    name = " ".join(row[key] for key in ("metric", "tier", "variant", "case"))
    parts = re.split(r"(\d+)", name)
    return [(0, float(part), "") if part.isdigit() else (1, 0.0, part) for part in parts]


def _metric_row(row: Mapping[str, Any]) -> MetricRow:
    tier, variant = plain_name(row["tier"]), plain_name(row["variant"])
    place = ", ".join(part for part in (tier, row["case"], variant) if part)
    a, b = (quantity(row[side], row["unit"]) for side in ("a", "b"))
    return MetricRow(plain_name(row["metric"]), place, a, b, _change(row["change"]), row["differs"])


def _change(change: float | None) -> str:
    """Return a change as a signed percentage; a proper minus lines up with the plus."""
    if change is None:
        return MISSING
    return f"{change * 100:+.1f} %".replace("-", "\N{MINUS SIGN}")
