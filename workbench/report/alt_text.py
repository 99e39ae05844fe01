"""Say in a sentence what a chart shows, from the very rows it draws.

Follows: UX.md C3; text made from the data is true on any machine.
Leaves out: interpretation; a notebook's prose does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench.report.numbers import claim_text, number, plain_name, quantity, unit_text


def of_sweep(points: pl.DataFrame, title: str, x_unit: str, y_unit: str) -> str:
    """Describe lines: each one's ends and, over all, the highest and lowest point.

    Parameters
    ----------
    points : polars.DataFrame   columns ``series``, ``x``, ``y``, sorted by series and x
    title : str                 what the chart shows
    x_unit, y_unit : str        units of ``x`` and ``y``
    """
    top = points.row(points["y"].arg_max() or 0, named=True)
    bottom = points.row(points["y"].arg_min() or 0, named=True)
    parts = []
    for (name,), line in points.group_by("series", maintain_order=True):
        first, last = line.row(0, named=True), line.row(-1, named=True)
        start = f"{quantity(first['y'], y_unit)} at {_at(first['x'], x_unit)}"
        end = f" to {quantity(last['y'], y_unit)} at {_at(last['x'], x_unit)}"
        parts.append(f"{plain_name(str(name))} from {start}{end if line.height > 1 else ''}")
    extremes = " and ".join(
        f"{word} {quantity(row['y'], y_unit)} "
        f"({plain_name(row['series'])}, {_at(row['x'], x_unit)})"
        for word, row in (("highest", top), ("lowest", bottom))
    )
    return f"{title}: {'; '.join(parts)}; {extremes}."


def of_bars(bars: pl.DataFrame, title: str, unit: str, rule: tuple[str, float] | None) -> str:
    """Describe bars: every value, the highest and lowest by name, and the line beside them.

    Parameters
    ----------
    bars : polars.DataFrame   columns ``label`` and ``value``
    title : str               what the chart shows
    unit : str                of ``value``
    rule : (label, value)     a ceiling or target, or None
    """
    values = ", ".join(_bar(row, unit) for row in bars.iter_rows(named=True))
    sentence = f"{title}: {values}"
    if bars.height > 1:
        top = bars["label"][bars["value"].arg_max() or 0]
        bottom = bars["label"][bars["value"].arg_min() or 0]
        sentence += f"; highest is {plain_name(top)}, lowest {plain_name(bottom)}"
    if rule is not None:
        sentence += f"; {rule[0]} at {quantity(rule[1], unit)}"
    return f"{sentence}."


def of_groups(bars: pl.DataFrame, title: str, unit: str) -> str:
    """Describe grouped bars: in each group the largest and the smallest by name.

    Parameters
    ----------
    bars : polars.DataFrame   columns ``group``, ``label`` and ``value``
    title : str               what the chart shows
    unit : str                of ``value``
    """
    parts = []
    for (group,), rows in bars.group_by("group", maintain_order=True):
        top = rows.row(rows["value"].arg_max() or 0, named=True)
        bottom = rows.row(rows["value"].arg_min() or 0, named=True)
        part = f"{plain_name(str(group))}: {_bar(top, unit)}"
        if rows.height > 1:
            part += f" down to {_bar(bottom, unit)}"
        parts.append(part)
    return f"{title}. {'; '.join(parts)}."


def of_runs(rows: pl.DataFrame, title: str, claim: str) -> str:
    """Describe a sweep's runs: the lowest and highest ratio, the claim, and runs without a ratio.

    Parameters
    ----------
    rows : polars.DataFrame   as `sweep_rows.run_rows` returns, one ratio at least
    title : str               what the chart shows
    claim : str               that all runs share, e.g. ``">= 2x"``; or ``""``
    """
    measured = rows.filter(pl.col("ratio").is_not_null()).sort("ratio", maintain_order=True)
    parts = [f"lowest {_run(measured.row(0, named=True))}"]
    if measured.height > 1:
        parts.append(f"highest {_run(measured.row(-1, named=True))}")
    if claim:
        parts.append(f"the claim is {claim_text(claim)}")
    rest = rows.filter(pl.col("ratio").is_null())
    ended = [f"{_place(row)}: {row['state'].lower()}" for row in rest.iter_rows(named=True)]
    without = f" Without a ratio: {'; '.join(ended)}." if ended else ""
    n_runs = "1 run" if measured.height == 1 else f"{measured.height:,} runs"
    return f"{title}: {n_runs}; {'; '.join(parts)}.{without}"


def _run(row: Mapping[str, Any]) -> str:
    return f"{row['text']}, interval {row['span']} ({_place(row)})"


def _place(row: Mapping[str, Any]) -> str:
    return ", ".join(str(row[name]) for name in ("x", "series", "panel") if row[name])


def _bar(row: Mapping[str, Any], unit: str) -> str:
    return f"{plain_name(row['label'])} {quantity(row['value'], unit)}"


def _at(value: float, unit: str) -> str:
    return f"{number(int(value) if float(value).is_integer() else value)} {unit_text(unit)}".strip()
