import re

import pytest

from workbench.report.figures import Figure, bundle
from workbench.report.ratio_charts import ratio_interval, sparkline


def _svg(figure: Figure) -> str:
    return str(bundle(figure)["image/svg+xml"])


@pytest.mark.parametrize(
    ("median", "claim"), [(28.7, ">= 10x"), (0.6, "<= 0.8x"), (1.0, ">= 1.3x")]
)
def test_an_interval_is_drawn_beside_no_change_and_the_claim(median: float, claim: str) -> None:
    ratio = {"median": median, "low": median * 0.97, "high": median * 1.03}
    figure = ratio_interval(ratio, claim, "ours against theirs")
    svg = _svg(figure)
    assert ">no change<" in svg
    assert f"claim {claim[0].replace('>', '≥').replace('<', '≤')}" in svg
    assert svg.count('stroke-dasharray="6,4"') == 2
    assert figure.alt.startswith("ours against theirs: ")
    assert "the claim is" in figure.alt


def test_the_two_lines_are_named_on_opposite_sides() -> None:
    ratio = {"median": 1.1, "low": 1.05, "high": 1.2}
    anchors = re.findall(r'text-anchor="(\w+)"[^>]*>(no change|claim)', _svg_of(ratio, ">= 1.1x"))
    assert dict((name, side) for side, name in anchors) == {"no change": "end", "claim": "start"}
    anchors = re.findall(r'text-anchor="(\w+)"[^>]*>(no change|claim)', _svg_of(ratio, "<= 0.9x"))
    assert dict((name, side) for side, name in anchors) == {"no change": "start", "claim": "end"}


def _svg_of(ratio: dict[str, float], claim: str) -> str:
    return _svg(ratio_interval(ratio, claim, "ours against theirs"))


def test_a_sparkline_lists_its_ratios() -> None:
    figure = sparkline([1.2, 1.25, 1.3], "Last runs")
    assert figure.alt == "Last runs, oldest first: 1.20×, 1.25×, 1.30×."
    assert "<text" not in _svg(figure).split("</text>", 1)[1]  # the heading is its only text


def test_one_run_or_equal_runs_can_be_drawn() -> None:
    for ratios in ([1.2], [1.2, 1.2, 1.2]):
        assert "NaN" not in _svg(sparkline(ratios, "Last runs"))


def test_a_claim_of_no_change_is_one_line_with_one_name() -> None:
    svg = _svg_of({"median": 1.01, "low": 0.98, "high": 1.04}, ">= 1x")
    assert "claim ≥ 1×" in svg
    assert ">no change<" not in svg
    assert svg.count('stroke-dasharray="6,4"') == 1
