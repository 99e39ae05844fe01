"""Turn an executed notebook into the body of a page: prose, folded code, capped outputs, charts.

Follows: nbconvert's HTML exporter with its sanitiser on; our template frames each cell.
Leaves out: the page around it (pages.py). Widgets and JavaScript outputs are not shown at all.
"""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from markupsafe import Markup

from workbench.report.figures import CHART_MIME
from workbench.report.markup import safe_html
from workbench.report.page_charts import PageChart

TEMPLATES = Path(__file__).parent / "templates"
MAX_OUTPUTS = 40
MAX_TEXT_CHARS = 20_000
MAX_OPEN_ROWS = 60
MAX_HTML_CHARS = 150_000
MAX_PAGE_CHARS = 700_000
# What we show, best first; widgets, JavaScript and everything unknown are left out.
_SHOWN = ["text/html", "text/markdown", "image/png", "image/jpeg", "text/latex", "text/plain"]
_PAPERMILL_BANNER = "papermill-error-cell-tag"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the notebook's prose, for the page's list of sections."""

    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """The cells as HTML, with a mark where each chart goes, and the charts in reading order."""

    html: str
    charts: tuple[PageChart, ...]
    headline: int | None  # number of the chart to show at the top
    slots: dict[int, str]  # chart number -> the mark to replace
    headings: tuple[Heading, ...]

    def filled(self, draw: Callable[[PageChart], str]) -> Markup:
        """Return the HTML with every chart drawn in its place."""
        html = self.html
        for chart in self.charts:
            html = html.replace(_slot_html(self.slots[chart.number]), draw(chart))
        return Markup(html)


def render_cells(notebook: Any, budget: int = MAX_PAGE_CHARS) -> Body:
    """Render every cell of an executed notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode   version 4; its contents are not trusted
    budget : int                       characters of outputs to show before the rest is left out

    Cost    about 0.01 s a cell, after 1 s for importing nbconvert.
    """
    reader = _Reader(budget=budget)
    prepared = reader.prepare(copy.deepcopy(notebook))
    headings: list[Heading] = []
    html = _exported(prepared, headings)
    return Body(html, tuple(reader.charts), reader.headline, reader.slots, tuple(headings))


@dataclass(slots=True)
class _Reader:
    """Walks the cells once: numbers code cells, takes charts out, caps what is too long."""

    charts: list[PageChart] = field(default_factory=list)
    slots: dict[int, str] = field(default_factory=dict)
    headline: int | None = None
    n_code: int = 0
    budget: int = MAX_PAGE_CHARS

    def prepare(self, notebook: Any) -> Any:
        kept = [cell for cell in notebook.cells if _PAPERMILL_BANNER not in _tags(cell)]
        notebook.cells = kept
        notebook.metadata.clear()  # widget states and lexers of its choice are not wanted
        for cell in kept:
            # The page has its own heading, so the notebook's title would say it twice.
            if cell.cell_type == "markdown" and cell is kept[0]:
                cell.source = re.sub(r"\A\s*#\s[^\n]*\n?", "", cell.source)
            if cell.cell_type == "code":
                self._prepare_code(cell)
        return notebook

    def _prepare_code(self, cell: Any) -> None:
        self.n_code += 1
        failed = any(output.output_type == "error" for output in cell.outputs)
        skipped = cell.execution_count is None and not cell.outputs and cell.source.strip()
        lines = [line for line in cell.source.splitlines() if line.strip()]
        cell.metadata["workbench"] = {
            "number": self.n_code,
            "is_failed": failed,
            "first_line": lines[0].strip()[:80] if lines else "empty",
            "note": "not run" if skipped else _duration_note(cell),
        }
        prepared = [self._prepare_output(output, cell) for output in cell.outputs[:MAX_OUTPUTS]]
        shown = [output for output in prepared if _is_shown(output)]
        if len(cell.outputs) > MAX_OUTPUTS:
            shown.append(
                _note(f"{len(cell.outputs) - MAX_OUTPUTS:,} more outputs are in out.ipynb")
            )
        cell.outputs = shown

    def _prepare_output(self, output: Any, cell: Any) -> Any:
        if output.output_type == "stream":
            output.text = self._cut(output.text, MAX_TEXT_CHARS)
        elif output.output_type == "error":
            output.traceback = self._cut("\n".join(output.traceback), MAX_TEXT_CHARS).splitlines()
        else:
            output.output_type = "display_data"  # a result is shown like anything displayed
            output.metadata.pop("workbench_slot", None)
            if isinstance(output.data.get(CHART_MIME), dict):
                self._take_chart(output, cell)
            else:
                output.data = self._cut_data(output.data)
        return output

    def _take_chart(self, output: Any, cell: Any) -> None:
        number = len(self.charts) + 1
        ours = output.data[CHART_MIME]
        picture = output.data.get("image/svg+xml", "")
        chart = PageChart.of(number, ours.get("title"), ours.get("alt"), picture, ours.get("spec"))
        self.charts.append(chart)
        # A random mark cannot be written into a cell beforehand to have a chart drawn there.
        self.slots[number] = output.metadata["workbench_slot"] = secrets.token_hex(12)
        if "headline" in _tags(cell) and self.headline is None:
            self.headline = number

    def _cut_data(self, data: dict[str, Any]) -> dict[str, Any]:
        best = next((kind for kind in _SHOWN if kind in data), None)
        if best is None:
            return {}
        if best in ("text/plain", "text/latex"):
            return {best: self._cut(data[best], MAX_TEXT_CHARS)}
        # Half a table or half a picture is none, so these are shown whole or not at all.
        if len(data[best]) > min(MAX_HTML_CHARS, self.budget):
            return {"text/plain": f"[{len(data[best]):,} characters of {best} are in out.ipynb]"}
        self.budget -= len(data[best])
        return {best: data[best]}

    def _cut(self, text: str, limit: int) -> str:
        limit = min(limit, self.budget)
        self.budget -= min(len(text), limit)
        if len(text) <= limit:
            return text
        return f"{text[:limit]}\n[{len(text) - limit:,} more characters are in out.ipynb]"


def _exported(notebook: Any, headings: list[Heading]) -> str:
    """Return the cells as HTML, and add the prose's headings to the list."""
    from nbconvert import TemplateExporter

    exporter = _exporter()
    exporter.register_filter("anchor_headings", lambda html: _anchor_headings(html, headings))
    # Not HTMLExporter's own method: it parses the page again, for what our template sees to.
    html, _ = TemplateExporter.from_notebook_node(exporter, notebook)
    return str(html)


@cache
def _exporter() -> Any:
    from jinja2 import FileSystemLoader
    from nbconvert import HTMLExporter
    from nbconvert.filters import Highlight2HTML
    from traitlets.config import Config

    config = Config({"NbConvertBase": {"display_data_priority": _SHOWN}})
    exporter = HTMLExporter(
        config=config,
        template_name="base",
        template_file="cells.html.j2",
        extra_loaders=[FileSystemLoader(TEMPLATES)],
        sanitize_html=True,
        exclude_anchor_links=True,
    )
    # nbconvert's own list knows no heading, no paragraph and no table head.
    exporter.register_filter("clean_html", safe_html)
    exporter.register_filter("highlight_code", Highlight2HTML(parent=exporter))
    exporter.register_filter("fold_long_tables", _fold_long_tables)
    return exporter


def _anchor_headings(html: str, headings: list[Heading]) -> str:
    """Give the prose's top headings ids that links from outside can rely on, and list them."""
    if "<h3" not in html:
        return html
    soup = BeautifulSoup(html, "html.parser")
    for element in soup.select("h3"):
        anchor = f"section-{len(headings) + 1}"
        element["id"] = anchor
        headings.append(Heading(anchor, element.get_text(" ", strip=True)))
    return str(soup)


def _fold_long_tables(html: str) -> str:
    """Fold tables that would push the rest of the page out of sight; their captions stay."""
    if html.count("<tr") <= MAX_OPEN_ROWS:
        return html
    soup = BeautifulSoup(html, "html.parser")
    for table in soup.select("table"):
        n_rows = len(table.select("tbody tr"))
        if n_rows > MAX_OPEN_ROWS:
            caption = table.caption.get_text(" ", strip=True) if table.caption else "Table"
            folded = table.wrap(soup.new_tag("details"))
            summary = soup.new_tag("summary")
            summary.string = f"{caption} ({n_rows} rows)"
            folded.insert(0, summary)
    return str(soup)


def _is_shown(output: Any) -> bool:
    """Tell whether there is anything to show: a lone widget or script leaves nothing."""
    return output.output_type in ("stream", "error") or bool(output.data)


def _slot_html(mark: str) -> str:
    return f'<div data-slot="{mark}"></div>'


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _duration_note(cell: Any) -> str:
    seconds = cell.metadata.get("papermill", {}).get("duration")
    return f"{seconds:.1f} s" if isinstance(seconds, int | float) and seconds >= 0.05 else ""


def _note(text: str) -> Any:
    from nbformat.v4 import new_output

    return new_output("stream", name="stdout", text=f"[{text}]")
