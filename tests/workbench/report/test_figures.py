import json
from xml.etree import ElementTree as ET

import altair as alt
import polars as pl
import pytest

from workbench.errors import ReportError
from workbench.report.figures import CHART_MIME, Figure, bundle, chart_spec, render_svg


def _chart(n_rows: int = 3) -> alt.Chart:
    frame = pl.DataFrame({"x": range(n_rows), "y": [value % 7 for value in range(n_rows)]})
    return alt.Chart(frame).mark_line().encode(x="x", y="y")


def test_a_bundle_has_the_three_forms_and_no_other() -> None:
    made = bundle(Figure("Title", _chart(), "It goes up."))
    assert set(made) == {"image/svg+xml", CHART_MIME, "text/plain"}
    assert made["text/plain"] == "It goes up."
    chart = made[CHART_MIME]
    assert isinstance(chart, dict)
    assert (chart["title"], chart["alt"]) == ("Title", "It goes up.")
    assert chart["spec"]["description"] == "It goes up."
    json.dumps(made, allow_nan=False)


def test_the_svg_takes_the_colour_of_its_page_and_has_no_ground() -> None:
    svg = str(bundle(Figure("Title", _chart(), "alt"))["image/svg+xml"])
    root = ET.fromstring(svg)
    labels = [element for element in root.iter() if element.tag.endswith("text")]
    assert labels
    assert {label.get("fill") for label in labels} == {"currentColor"}
    assert not [e for e in root.iter() if e.get("fill", "").lower() in ("white", "#fff", "#ffffff")]


@pytest.mark.parametrize(("title", "words"), [("", "alt"), ("Title", " ")])
def test_a_figure_without_words_is_refused(title: str, words: str) -> None:
    with pytest.raises(ReportError, match="needs"):
        Figure(title, _chart(), words)


def test_more_than_5000_rows_are_refused_with_the_cure() -> None:
    bundle(Figure("Title", _chart(5000), "alt"))
    with pytest.raises(ReportError, match="aggregate in polars"):
        bundle(Figure("Title", _chart(5001), "alt"))


def test_rows_of_several_layers_count_together() -> None:
    frames = [pl.DataFrame({"x": range(n), "y": range(n)}) for n in (3000, 3001)]
    layers = alt.layer(*(alt.Chart(frame).mark_point().encode(x="x", y="y") for frame in frames))
    with pytest.raises(ReportError, match="6,001"):
        chart_spec(Figure("Title", layers, "alt"))


def test_the_limit_holds_where_altair_was_told_to_forget_it() -> None:
    with (
        alt.data_transformers.enable("default", max_rows=None),
        pytest.raises(ReportError, match="aggregate"),
    ):
        bundle(Figure("Title", _chart(6000), "alt"))


def test_drawing_asks_nothing_of_the_network() -> None:
    spec = chart_spec(Figure("Title", _chart(), "alt"))
    spec.pop("datasets")
    spec["data"] = {"url": "http://127.0.0.1:9/rows.json"}
    with pytest.raises(ReportError, match="not allowed"):
        render_svg(spec)


def test_our_theme_stays_ours() -> None:
    before = alt.theme.active
    chart_spec(Figure("Title", _chart(), "alt"))
    assert alt.theme.active == before
