"""The page of one sweep: what came out, then for each machine a chart and the grid as a table.

Follows: UX.md A29 and C3; runs that failed or were lost keep their row, machines never mix.
Leaves out: finding the runs (workbench/runs/swept.py), what they say (sweep_facts.py), and where
pages lie (build.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from workbench.report import facts, shell, sweep_charts, sweep_facts
from workbench.report.figures import chart_spec, render_svg
from workbench.report.index_page import RunRow
from workbench.report.numbers import MISSING, metric_name
from workbench.report.page_charts import PageChart
from workbench.report.sweep_rows import value_text
from workbench.runs import summary
from workbench.runs.days import find_day
from workbench.runs.record import RunRecord
from workbench.runs.swept import Swept


@dataclass(frozen=True, slots=True)
class PointRow:
    """One run of a grid in the table of its machine: its place, its figures, how it ended."""

    run: RunRow
    values: tuple[str, ...]
    figures: tuple[str, ...]
    problem: str = ""
    is_reused: bool = False

    @property
    def notes(self) -> str:
        """Return how often the run was begun, why no verdict counts, and what cannot be read."""
        attempts = self.run.record.attempts
        again = f"begun {attempts} times, its worker was lost" if attempts > 1 else ""
        why = "" if self.run.record.status == "ok" else self.run.why
        earlier = "made by an earlier sweep" if self.is_reused else ""
        return "; ".join(filter(None, (again, earlier, why, self.problem)))


@dataclass(frozen=True, slots=True)
class MachineBlock:
    """The runs of one machine: their chart and their rows."""

    name: str
    machine_id: str
    chart: PageChart | None
    rows: tuple[PointRow, ...]


def render_sweep(sweep: Swept, pages: Mapping[str, str], home: str | None = None) -> str:
    """Return the page of a sweep, whole and self-contained.

    Parameters
    ----------
    sweep : Swept      its runs
    pages : mapping    run id -> file name of its page beside this one, where there is one
    home : str         file name of the index beside the page, or None: it stands alone

    Cost    0.1 s a machine for its chart, and one read of metrics a run where the day shows any.
    """
    day = find_day(sweep.day)
    blocks = _blocks(sweep, pages, day.figures if day else ())
    has_charts = any(block.chart for block in blocks)
    return shell.render(
        "sweep.html.j2",
        scripts=("charts.js", "index.js") if has_charts else ("index.js",),
        with_vega=has_charts,
        home=home,
        title=day.title if day else sweep.day,
        grid=sweep_facts.grid_text(sweep),
        question=day.question if day else "",
        record=sweep.latest,
        states=sweep_facts.states(sweep),
        sentence=sweep_facts.sentence(sweep),
        notices=sweep_facts.notices(sweep),
        facts=sweep_facts.sweep_facts(sweep),
        measured=next((run.verdict.sentence for run in sweep.records if run.verdict), ""),
        axes=tuple(sweep.axes),
        figures=[metric_name(name) for name in (day.figures if day else ())],
        blocks=blocks,
        missing=[sweep_facts.point_text(point) for point in sweep.missing()],
        all_have_pages=all(run.run_id in pages for run in sweep.records),
        command=sweep_facts.command(sweep),
    )


def _blocks(
    sweep: Swept, pages: Mapping[str, str], names: Sequence[str]
) -> tuple[MachineBlock, ...]:
    """Return a block a machine; a run that was lost on an unknown one is in every chart."""
    groups = summary.by_machine(sweep.records)
    lost = groups.pop("", [])
    blocks = []
    for number, (machine_id, records) in enumerate(groups.items(), start=1):
        chart = _chart(number, sweep, [*records, *lost])
        rows = tuple(_row(sweep, record, pages, names) for record in records)
        name = facts.machine_name(records[0].machine)
        blocks.append(MachineBlock(name, machine_id, chart, rows))
    if lost:
        rows = tuple(_row(sweep, record, pages, names) for record in lost)
        blocks.append(MachineBlock("Lost with their worker", "", None, rows))
    return tuple(blocks)


def _chart(number: int, sweep: Swept, records: Sequence[RunRecord]) -> PageChart | None:
    figure = sweep_charts.ratios(sweep, records)
    if figure is None:
        return None
    spec = chart_spec(figure)
    return PageChart.of(number, figure.title, figure.alt, render_svg(spec), spec)


def _row(
    sweep: Swept, record: RunRecord, pages: Mapping[str, str], names: Sequence[str]
) -> PointRow:
    problem = ""
    medians: Mapping[str, str | None] = dict.fromkeys(names)
    try:
        medians = summary.medians(record, names)
    except (pl.exceptions.PolarsError, OSError) as error:  # one run's file hides no other run
        problem = f"its metrics cannot be read: {str(error).splitlines()[0]}"
    return PointRow(
        RunRow(record, pages.get(record.run_id)),
        tuple(map(value_text, sweep.point(record).values())),
        tuple(text or MISSING for text in medians.values()),
        problem,
        record in sweep.reused,
    )
