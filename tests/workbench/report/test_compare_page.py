from pathlib import Path
from types import ModuleType
from typing import Any

import html5lib
import pytest

from workbench.report.compare_page import render_comparison
from workbench.runs.compare import compare


@pytest.fixture
def page(registry: Path, samples: ModuleType) -> Any:
    def write_and_compare(**changes: Any) -> Any:
        a = samples.record("r-a", verdict=samples.verdict(), label="before")
        samples.write_run(a, samples.day1_rows())
        samples.write_run(samples.record("r-b", **changes), samples.day1_rows(faster=1.5))
        html = render_comparison(compare("r-a", "r-b"))
        return html5lib.parse(html, namespaceHTMLElements=False)

    return write_and_compare


def _text(element: Any) -> str:
    return " ".join(" ".join(element.itertext()).split())


def _row(tree: Any, *words: str) -> Any:
    rows = tree.findall(".//section[@aria-labelledby='metrics-heading']//tbody/tr")
    return next(row for row in rows if all(word in _text(row) for word in words))


def test_metrics_are_rows_and_runs_are_columns(page: Any) -> None:
    tree = page()
    heads = [_text(one) for one in tree.findall(".//table[@class='runs']/thead/tr/th")]
    assert heads == ["Metric", "Where and how", "A", "B", "B against A"]
    read = _row(tree, "storage read", "block_kib=16,", "device", "synchronous")
    assert read.get("data-differs") == "yes"
    assert _text(read).endswith("+50.0 %")
    copy = _row(tree, "memory copy", "numpy", "threads=1")
    assert (copy.get("data-differs"), _text(copy)[-6:]) == ("no", "+0.0 %")


def test_block_sizes_stand_in_the_order_of_their_numbers(page: Any) -> None:
    rows = page().findall(".//section[@aria-labelledby='metrics-heading']//tbody/tr")
    reads = [_text(row) for row in rows if "storage read device" in _text(row)]
    fio = [text for text in reads if "fio qd1 " in text]
    sizes = [int(text.split("block_kib=")[1].split(",")[0]) for text in fio]
    assert sizes == [4, 16, 64, 256, 1024]


def test_different_machines_are_flagged_and_share_no_column(page: Any, samples: ModuleType) -> None:
    tree = page(machine=samples.OTHER_MACHINE, machine_id="77aa88bb99cc")
    assert "Different machines." in _text(tree.find(".//main"))
    assert "B against A" not in _text(tree)
    assert "+50" not in _text(tree)


def test_parameters_say_what_differs(page: Any, samples: ModuleType) -> None:
    tree = page(params={**samples.PARAMS, "block_kib": 64})
    rows = tree.findall(".//section[@aria-labelledby='parameters-heading']//tbody/tr")
    differing = [_text(row) for row in rows if row.get("data-differs") == "yes"]
    assert differing == ["block_kib 16 64 differs"]
    assert len(rows) == len(samples.PARAMS)


def test_both_runs_are_introduced(page: Any) -> None:
    tree = page(status="failed", reason="it broke")
    a, b = (
        tree.findall(".//section[@aria-labelledby='side-A']")[0],
        tree.findall(".//section[@aria-labelledby='side-B']")[0],
    )
    assert "A: before ✓ Claim holds" in _text(a)
    assert "28.7× (28.1× to 29.3×)" in _text(a)
    assert "✗ Failed it broke" in _text(b)


def test_runs_without_metrics_say_so(registry: Path, samples: ModuleType) -> None:
    samples.write_run(samples.record("r-a"))
    samples.write_run(samples.record("r-b"))
    assert "Neither run recorded a metric." in render_comparison(compare("r-a", "r-b"))
