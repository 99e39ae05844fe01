"""The index page: every run by day, failed and refuted ones too, and the named benchmarks.

Follows: UX.md C3; runs of different machines are never drawn in one line.
Leaves out: the pages it links to (run_page.py) and where they lie (build.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from workbench.report import facts, shell
from workbench.report.bench_rows import BenchTable
from workbench.report.figures import chart_spec, render_svg
from workbench.report.numbers import MISSING, claim_text, duration, quantity
from workbench.report.ratio_charts import sparkline
from workbench.report.status import Status, all_statuses, status_of
from workbench.report.svg import inlined
from workbench.report.sweep_facts import grid_text
from workbench.runs.days import DAYS, find_day
from workbench.runs.record import COMPLETE, RunRecord
from workbench.runs.swept import Swept

_MAX_SPARKS = 12
_COLUMNS = (
    ("Status", ""),
    ("Started", ""),
    ("Run", ""),
    ("Ratio", "num"),
    ("Took", "num"),
    ("Machine", ""),
    ("Commit", ""),
)
_PROFILES = (
    "Profiles",
    "Where does the time of a day or another verb go? Each has its flame graph: workbench profile.",
)
_NOT_RUN = Status("○", "Not run yet", "quiet")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in the table of its day, every field ready to be shown."""

    record: RunRecord
    page: str | None

    @property
    def status(self) -> Status:
        """Return the state in words."""
        return status_of(self.record)

    @property
    def started(self) -> str:
        """Return when it began."""
        return shell.moment(self.record.started)

    @property
    def ratio(self) -> str:
        """Return the headline ratio, or a dash."""
        verdict = self.record.verdict
        return quantity(verdict.ratio.median, "x") if verdict else MISSING

    @property
    def ratio_value(self) -> float | str:
        """Return what the column sorts by."""
        return self.record.verdict.ratio.median if self.record.verdict else ""

    @property
    def interval(self) -> str:
        """Return the ratio's interval, or nothing."""
        if self.record.verdict is None:
            return ""
        ratio = self.record.verdict.ratio
        return f"{quantity(ratio.low, 'x')} to {quantity(ratio.high, 'x')}"

    @property
    def took(self) -> str:
        """Return the wall time."""
        return duration(self.record.wall_s)

    @property
    def changed(self) -> str:
        """Return the changed parameters on one line."""
        return facts.changed_text(self.record)

    @property
    def machine(self) -> str:
        """Return the machine in words."""
        return facts.machine_name(self.record.machine)

    @property
    def commit(self) -> str:
        """Return the commit the run came from."""
        return facts.commit(self.record)

    @property
    def what(self) -> str:
        """Return the run's label and preset."""
        return ", ".join(text for text in (self.record.label, self.record.preset) if text)

    @property
    def why(self) -> str:
        """Return why there is no verdict that counts; nothing where the ratio says it all."""
        verdict = self.record.verdict
        if self.record.status in ("ok", "refuted"):
            return ""
        if verdict is not None and facts.outcome(self.record) == verdict.sentence:
            return f"the interval does not settle the claim {claim_text(verdict.claim)}"
        return facts.outcome(self.record)


@dataclass(frozen=True, slots=True)
class SweepLink:
    """A sweep and the file name of its page beside the index."""

    sweep: Swept
    page: str

    @property
    def text(self) -> str:
        """Return the grid in a few words, and its label."""
        return ", ".join(filter(None, (self.sweep.latest.label, grid_text(self.sweep))))

    @property
    def when(self) -> str:
        """Return when its last run began."""
        return shell.moment(self.sweep.latest.started)


@dataclass(frozen=True, slots=True)
class DayBlock:
    """One day: its question, its latest verdict and all of its runs, newest first."""

    name: str
    title: str
    question: str
    page: str | None
    status: Status
    ratio: str
    sentence: str
    sparkline: Markup | None
    n_sparks: int
    runs: tuple[RunRow, ...]
    sweeps: tuple[SweepLink, ...]


def render_index(
    records: Sequence[RunRecord],
    pages: Mapping[str, str],
    benches: BenchTable,
    problems: Sequence[str] = (),
    sweeps: Sequence[SweepLink] = (),
) -> str:
    """Return the index page.

    Parameters
    ----------
    records : sequence       every run, newest first
    pages : mapping          run id -> file name of its page beside the index, where there is one
    benches : BenchTable     the rows of `workbench bench`
    problems : sequence      what could not be read
    sweeps : sequence        every sweep that has a page, the last one first
    """
    machines = {run.machine_id: facts.machine_name(run.machine) for run in records}
    names = [*DAYS, *sorted({run.day for run in records} - set(DAYS))]
    blocks = [
        _day_block(
            name,
            [run for run in records if run.day == name],
            pages,
            [link for link in sweeps if link.sweep.day == name],
        )
        for name in names
    ]
    seen = {run.status for run in records}
    return shell.render(
        "index.html.j2",
        scripts=("index.js",),
        home=None,
        summary=_summary(records, len(machines)),
        any_run=bool(records),
        days=blocks,
        columns=_COLUMNS,
        statuses=[(name, status) for name, status in all_statuses().items() if name in seen],
        machines=sorted(machines.items(), key=lambda item: item[1]),
        machine_names=machines,
        benches=benches.rows,
        problems=[*problems, *benches.problems],
    )


def _summary(records: Sequence[RunRecord], n_machines: int) -> str:
    if not records:
        return "Every run lands here, failed and refuted ones too."
    runs = "1 run" if len(records) == 1 else f"{len(records):,} runs"
    machines = "one machine" if n_machines == 1 else f"{n_machines} machines"
    return f"{runs} on {machines}, the latest on {shell.moment(records[0].started)}."


def _day_block(
    name: str, runs: Sequence[RunRecord], pages: Mapping[str, str], sweeps: Sequence[SweepLink]
) -> DayBlock:
    day = find_day(name)
    of_profiles = any(run.kind == "profile" for run in runs)
    title, question = _PROFILES if of_profiles else (day.title, day.question) if day else (name, "")
    # What a day has shown is said by its last complete run; a failure since is in the table.
    told = next((run for run in runs if run.status in COMPLETE), runs[0] if runs else None)
    history = _history(runs)
    return DayBlock(
        name=name,
        title=title,
        question=question,
        page=pages.get(told.run_id) if told else None,
        status=status_of(told) if told else _NOT_RUN,
        ratio=_judged(told) if told else "",
        sentence=facts.outcome(told) if told else "",
        sparkline=_spark(history, title) if len(history) > 1 else None,
        n_sparks=len(history),
        runs=tuple(RunRow(run, pages.get(run.run_id)) for run in runs),
        sweeps=tuple(sweeps),
    )


def _judged(run: RunRecord) -> str:
    """Return the ratio and the claim that it is held against; nothing without a verdict."""
    if run.verdict is None:
        return ""
    return f"{quantity(run.verdict.ratio.median, 'x')}, claim {claim_text(run.verdict.claim)}:"


def _history(runs: Sequence[RunRecord]) -> list[float]:
    """Return the ratios, oldest first, that may stand in one line with the latest one."""
    judged = [run for run in runs if run.verdict is not None and not run.contended]
    alike = [run for run in judged if _comparable(run) == _comparable(judged[0])]
    return [run.verdict.ratio.median for run in alike[:_MAX_SPARKS] if run.verdict][::-1]


def _comparable(run: RunRecord) -> tuple[str, ...]:
    assert run.verdict is not None
    # With other parameters, a preset or a point of a grid, it is another experiment.
    params = json.dumps(run.params, sort_keys=True, default=str)
    claim = (run.verdict.metric, run.verdict.contender, run.verdict.baseline)
    return (run.machine_id, params, *claim)


def _spark(history: Sequence[float], title: str) -> Markup:
    figure = sparkline(history, f"Headline ratio of the last {len(history)} runs of {title}")
    # A sparkline has no clip paths, so its ids need no number of their own.
    return Markup(inlined(render_svg(chart_spec(figure)), "spark", figure.alt))
