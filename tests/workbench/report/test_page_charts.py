import json
from types import ModuleType

import pytest

from workbench.report.figures import CHART_MIME, Figure, bundle
from workbench.report.page_charts import PageChart, script_json


def test_a_chart_of_ours_comes_whole(figures: list[Figure]) -> None:
    made = bundle(figures[0])
    chart = made[CHART_MIME]
    assert isinstance(chart, dict)
    page = PageChart.of(3, chart["title"], chart["alt"], made["image/svg+xml"], chart["spec"])
    assert page.anchor == "chart-3"
    assert page.svg is not None
    assert f'aria-label="{figures[0].title}.' in page.svg
    assert json.loads(str(page.spec_json)) == chart["spec"]
    assert page.problem == ""


@pytest.mark.parametrize(
    "spec",
    [
        {"data": {"url": "https://example.org/x.csv"}},
        {"layer": [{"encoding": {"href": {"field": "x"}}}]},
        {"usermeta": {"embedOptions": {}}},
        {"mark": float("nan")},
        ["no", "spec"],
        None,
    ],
)
def test_a_spec_that_reaches_out_is_not_drawn_again(spec: object) -> None:
    assert PageChart.of(1, "t", "a", "", spec).spec_json is None


def test_columns_of_rows_may_be_called_anything() -> None:
    spec = {"data": {"values": [{"url": 1}]}, "datasets": {"d": [{"href": 2}]}}
    assert PageChart.of(1, "t", "a", "", spec).spec_json is not None


def test_a_picture_that_is_refused_leaves_words_and_the_reason() -> None:
    page = PageChart.of(1, None, None, "<svg", {})
    assert page.svg is None
    assert "not well-formed" in page.problem
    assert PageChart.of(1, "t", "a", None, {}).problem == "none was kept"
    assert (page.title, page.alt) == ("Untitled chart", "no description was given")


def test_no_json_can_close_its_element(hostile: ModuleType) -> None:
    value = {"text": ["</script><script>alert(1)</script>", "<!--", "\u2028&"]}
    block = script_json(value)
    assert not set("<>&\u2028") & set(block)
    assert json.loads(block) == value
