"""A chart with its title and its alternative text, and the three forms it is displayed in.

Follows: UX.md C2 (our own mimebundle: SVG for every viewer, the spec as plain JSON for the report).
Leaves out: what to draw (charts.py); network, which the renderer is not allowed to use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from workbench.errors import ReportError
from workbench.report.svg import labelled

CHART_MIME = "application/vnd.workbench.chart+json"
MAX_ROWS = 5000
WIDTH = 680
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_THEME = "workbench"


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart that can be read without seeing it: ``alt`` says in a sentence what it shows."""

    title: str
    chart: Any  # an altair chart of any kind
    alt: str

    def __post_init__(self) -> None:
        for name in ("title", "alt"):
            if not getattr(self, name).strip():
                raise ReportError(
                    f"a figure needs {name} text; say in one sentence what the chart shows"
                )


def bundle(figure: Figure) -> dict[str, object]:
    """Return the figure as a mimebundle: SVG, our own JSON (title, alt, spec) and plain text.

    Raises
    ------
    ReportError   if the chart carries more than 5,000 rows, or Vega-Lite refuses it

    Cost    about 0.1 s, the first call in a process about 1 s.
    """
    spec = chart_spec(figure)
    return {
        "image/svg+xml": labelled(render_svg(spec), figure.title, figure.alt),
        CHART_MIME: {"title": figure.title, "alt": figure.alt, "spec": spec},
        "text/plain": figure.alt,
    }


def chart_spec(figure: Figure) -> dict[str, Any]:
    """Return the figure's Vega-Lite spec with our theme and its alternative text in it."""
    try:
        with alt.data_transformers.enable("default", max_rows=MAX_ROWS), alt.theme.enable(_THEME):
            spec: dict[str, Any] = figure.chart.to_dict()
    except alt.MaxRowsError as error:
        raise ReportError(_too_many(figure.title, "too many")) from error
    n_rows = sum(_data_lengths(spec))
    if n_rows > MAX_ROWS:
        raise ReportError(_too_many(figure.title, f"{n_rows:,}"))
    return {**spec, "description": figure.alt}


def render_svg(spec: Mapping[str, Any]) -> str:
    """Return a spec drawn as SVG, without touching the network.

    Raises
    ------
    ReportError   if Vega-Lite cannot draw it, or it asks for data by URL
    """
    try:
        # No address is allowed: a spec that names data by URL fails instead of being fetched.
        return str(
            vl_convert.vegalite_to_svg(
                dict(spec), vl_version=vega_lite_version(), allowed_base_urls=[]
            )
        )
    except ValueError as error:
        raise ReportError(f"the chart cannot be drawn: {_reason(error)}") from error


def vega_lite_version() -> str:
    """Return Altair's Vega-Lite version as the renderer names it, e.g. 6.4."""
    return ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def theme() -> alt.theme.ThemeConfig:
    """Return our look: quiet axes in the page's own ink, one font, no frame, no background."""
    ink = {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "labelFont": FONT,
        "titleFont": FONT,
    }
    axis = {
        "gridColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridOpacity": 0.14,
    }
    sizes = {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 500,
        "labelFontWeight": 400,
    }
    quiet = {
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
        "titlePadding": 12,
        "labelLimit": 240,
    }
    top_left = {
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "start",
        "titleBaseline": "bottom",
    }
    config = {
        # The whole image carries one label; its marks would repeat it hundreds of times.
        "aria": False,
        "background": None,
        "font": FONT,
        "padding": 4,
        "axis": {**ink, **axis, **sizes, **quiet, "domainOpacity": 0.4},
        "axisY": {**top_left, "titleY": -10, "titleX": 0},
        "title": {"color": "currentColor", "font": FONT, "fontSize": 13, "anchor": "start"},
        "legend": {**ink, **sizes, "orient": "top", "title": None, "symbolStrokeWidth": 2},
        "text": {"color": "currentColor", "font": FONT, "fontSize": 12},
        "rule": {"color": "currentColor"},
        "line": {"strokeWidth": 2.25, "strokeCap": "round"},
        "point": {"size": 52, "filled": True, "opacity": 1},
        "view": {"stroke": None, "continuousWidth": WIDTH, "continuousHeight": 260, "step": 34},
    }
    return alt.theme.ThemeConfig({"config": config})


alt.theme.register(_THEME, enable=False)(theme)


def _data_lengths(node: object) -> Iterator[int]:
    """Yield the number of rows of every data set inside a spec."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == "datasets":
                yield from (len(rows) for rows in value.values())
            elif (
                name == "data"
                and isinstance(value, Mapping)
                and isinstance(value.get("values"), list)
            ):
                yield len(value["values"])
            else:
                yield from _data_lengths(value)
    elif isinstance(node, list):
        for item in node:
            yield from _data_lengths(item)


def _reason(error: ValueError) -> str:
    """Return what went wrong without the renderer's stack of addresses."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if not line.startswith("at "))


def _too_many(title: str, n_rows: str) -> str:
    return (
        f"chart {title!r} holds {n_rows} rows, the limit is {MAX_ROWS:,}; aggregate in polars first"
    )
