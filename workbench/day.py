"""The notebook's face: open a day, record rows, show tables and figures, state the verdict, close.

Follows: one setup cell, `from workbench import day; d = day.open("day01", locals())`.
Leaves out: files and run states (runs/session.py), widgets (controls.py), and any measuring.
"""

from __future__ import annotations

import html
import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench import controls
from workbench.benchmark import progress
from workbench.benchmark.machine import Machine
from workbench.benchmark.statistics import Ratio
from workbench.runs import environment, frontend, session, verdict
from workbench.runs.days import get_day
from workbench.runs.namespace import read_params
from workbench.runs.params import DayParams

if TYPE_CHECKING:
    import polars as pl

    from workbench.report.figures import Figure


class DaySession:
    """What a notebook works with, from its setup cell to its last one.

    Attributes
    ----------
    params : DayParams     the day's parameters, checked
    plan                   what the preset amounts to
    seed : int             seed for ``numpy.random.default_rng``
    store : Path           folder on the disk to measure; made when the day is opened
    interactive : bool     whether a person sits in front; False under papermill and headless
    """

    def __init__(self, params: DayParams, run: session.Session, *, interactive: bool) -> None:
        self.params = params
        self.plan = params.plan()
        self.seed = params.seed
        self.store = environment.resolve_store(params.store)
        self.interactive = interactive
        self._run = run
        self.store.mkdir(parents=True, exist_ok=True)

    @property
    def run_id(self) -> str:
        """Return the id of the run that this notebook is."""
        return self._run.run_id

    @property
    def machine(self) -> Machine:
        """Return what is measured on."""
        return Machine(**self._run.record.machine)

    @property
    def metrics(self) -> pl.DataFrame:
        """Return all rows recorded so far."""
        return self._run.metrics

    def record(self, frame: pl.DataFrame) -> None:
        """Append metric rows; they are on disk when this returns."""
        self._run.add_metrics(frame)

    def table(self, frame: pl.DataFrame, caption: str) -> None:
        """Show a frame as a table."""
        from workbench.report.tables import table_html

        _display({"text/html": table_html(frame, caption), "text/plain": str(frame)})

    def show(self, figure: Figure) -> None:
        """Show a figure, and keep it for the report."""
        from workbench.report.figures import CHART_MIME, bundle

        shown = bundle(figure)
        chart: Any = shown[CHART_MIME]
        kept = {key: chart[key] for key in ("title", "alt", "spec")}
        self._run.add_figure({**kept, "svg": shown["image/svg+xml"]})
        _display(shown)

    def notes(self, *notes: str) -> None:
        """Show what a reader must know beside the figures, a line each."""
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        if notes:
            _display({"text/html": f"<ul>{items}</ul>", "text/plain": "\n".join(notes)})

    def explore(
        self,
        measure: Callable[[Any], pl.DataFrame],
        caption: str,
        **choices: Sequence[object],
    ) -> None:
        """Show a measurement for these parameters, with controls to change some of them.

        Parameters
        ----------
        measure : callable   takes the day's parameters, returns a table
        caption : str        of the table
        choices              parameter name -> the values that its control offers
        """

        def show(**chosen: object) -> None:
            self.table(measure(self.params.model_copy(update=chosen)), caption)

        now = {name: getattr(self.params, name) for name in choices}
        controls.explore(show, choices, now, interactive=self.interactive)

    def browse(
        self, draw: Callable[[Any], Figure], steps: Mapping[str, int], **choices: Sequence[object]
    ) -> None:
        """Show a figure for these parameters, with controls that redraw it at once.

        Parameters
        ----------
        draw : callable   takes the day's parameters, returns a figure
        steps : mapping   parameter name -> number of steps that its slider goes through, from 1
        choices           parameter name -> the values that its control offers
        """

        def show(**chosen: object) -> None:
            figure = draw(self.params.model_copy(update=chosen))
            if not self.interactive:
                self.show(figure)
                return
            # What a person leafs through is not kept: the report has the one that was asked for.
            from workbench.report.figures import bundle

            _display(bundle(figure))

        now = {name: getattr(self.params, name) for name in (*steps, *choices)}
        controls.browse(show, steps, choices, now, interactive=self.interactive)

    def verdict(
        self,
        *,
        metric: str,
        contender: str,
        baseline: str,
        ratio: Ratio,
        claim: str,
        sentence: str = "",
    ) -> None:
        """State and keep what became of a claim such as ``">= 2x"``; refuted is a result, too."""
        judged = verdict.judge(
            verdict.Comparison(metric, contender, baseline),
            ratio,
            claim,
            sentence=sentence,
            contended=self._run.record.contended,
        )
        self._run.set_verdict(judged)
        said = f"{judged.verdict}: {metric}, {contender} against {baseline}: {ratio}"
        _line([f"{said}; claim {judged.claim}", sentence], kind="verdict")

    def chip(self) -> None:
        """Show which run this is, of which code, on which machine."""
        run = self._run.record
        code = f"git {run.git_sha}{' + changes' if run.git_dirty else ''}" if run.git_sha else ""
        _line([f"run {run.run_id}", code, str(self.machine)], kind="chip")

    def close(self) -> None:
        """Complete the run; belongs into the last code cell."""
        self._run.close()


def open(name: str, namespace: Mapping[str, Any]) -> DaySession:
    """Check the notebook's parameters, seed, open its run and show the chip.

    Parameters
    ----------
    name : str            of the day, e.g. ``"day01"``
    namespace : mapping   the notebook's variables: ``locals()``

    Raises
    ------
    UsageError   for an unknown day, and for every unknown, mistyped or out-of-range parameter
    """
    _autoreload()
    params = read_params(get_day(name).params, namespace)
    random.seed(params.seed)
    run = session.open_session(name, params)
    opened = DaySession(params, run, interactive=frontend.interactive())
    progress.set_mode("widget" if opened.interactive else "none")
    opened.chip()
    return opened


def _autoreload() -> None:
    """Have edited modules reloaded before each cell, as `workbench lab` asks for."""
    shell = frontend.shell()
    if shell is not None and os.environ.get("WORKBENCH_AUTORELOAD") == "1":
        shell.run_line_magic("load_ext", "autoreload")
        shell.run_line_magic("autoreload", "2")


def _line(parts: list[str], kind: str) -> None:
    """Display the parts that are there on one line."""
    text = " · ".join(part for part in parts if part)
    markup = f'<p class="workbench-{kind}">{html.escape(text)}</p>'
    _display({"text/html": markup, "text/plain": text})


def _display(bundle: dict[str, Any]) -> None:
    """Display a mimebundle; in a plain script print its text."""
    if frontend.shell() is None:
        print(bundle["text/plain"])
        return
    from IPython.display import display

    display(bundle, raw=True)
