from pathlib import Path
from types import ModuleType
from typing import Any

import html5lib
import pytest

from workbench.benchmark import metrics
from workbench.report.sweep_page import render_sweep
from workbench.runs.swept import Swept


@pytest.fixture
def page(registry: Path, samples: ModuleType) -> Any:
    """The page of a sweep that went as badly as one can."""
    sweep = Swept.of(samples.sweep_records())
    rows = metrics.rows("hit_rate", "ratio", [0.931], tier="hot", variant="int8")
    samples.write_run(sweep.records[0], rows)
    html = render_sweep(sweep, {sweep.records[0].run_id: "run-first.html"}, "index.html")
    return html5lib.parse(html, namespaceHTMLElements=False)


def _text(element: Any) -> str:
    return " ".join(" ".join(element.itertext()).split())


def _sections(tree: Any) -> list[Any]:
    return [
        section
        for section in tree.findall(".//section")
        if str(section.get("aria-labelledby")).startswith("machine-")
    ]


def test_each_machine_has_its_chart_and_its_table_and_says_so(page: Any, samples: Any) -> None:
    sections = _sections(page)
    assert [_text(one.find("h2")) for one in sections] == [
        "Example 9 Processor, 2 CPUs",
        "Sample M4 Pro, 12 CPUs",
        "Lost with their worker",
    ]
    assert [len(one.findall(".//tbody/tr")) for one in sections] == [8, 2, 1]
    assert [len(one.findall(".//figure")) for one in sections] == [1, 1, 0]
    assert "different machines are never compared" in _text(page.find(".//main"))
    marked = [one.find(".//figure//{*}svg").get("aria-label") for one in sections[:2]]
    assert all("killed, begun 3 times" in label for label in marked)


def test_a_row_has_parameters_state_ratio_figures_and_time(page: Any) -> None:
    table = _sections(page)[0].find(".//table")
    heads = [_text(head) for head in table.findall("./thead/tr/th")]
    assert heads[:5] == ["policy", "ssd_gib", "codec", "Status", "Ratio"]
    assert heads[5:] == ["hit rate", "SSD written", "mean time to first token", "Took", "Run"]
    first = table.find("./tbody/tr")
    assert _text(first).startswith("s3_fifo 64 none ✓ Claim holds 1.99× 1.95× to 2.03× 0.931 – –")
    assert first.find(".//a").get("href") == "run-first.html"
    assert "MemoryError: 16 GiB" in _text(table)
    assert "begun 2 times, its worker was lost" in _text(table)


def test_points_without_a_run_and_the_way_on_are_told(page: Any) -> None:
    section = page.find(".//section[@aria-labelledby='missing-heading']")
    assert [_text(item) for item in section.findall(".//li")] == [
        "policy=lru, ssd_gib=1024, codec=int8"
    ]
    again = _text(page.find(".//section[@aria-labelledby='again-heading']"))
    assert "--resume" in again
    assert "--all" in again  # not every run has a page


def test_a_page_that_stands_alone_links_nowhere(registry: Path, samples: ModuleType) -> None:
    html = render_sweep(Swept.of(samples.sweep_records()), {})
    assert ".html" not in html.split("<script>")[0]


def test_one_point_and_runs_that_all_failed_say_why_nothing_is_drawn(
    registry: Path, samples: ModuleType
) -> None:
    assert "nothing to draw it against" in render_sweep(Swept.of([samples.swept(0, 2.0)]), {})
    failed = [
        samples.swept(n, status="failed", reason="no", params={"ssd_gib": n}) for n in range(2)
    ]
    html = render_sweep(Swept.of(failed), {}, "index.html")
    assert "No run here came to a ratio" in html
    assert f"--sweep {samples.SWEEP} --all" in html


def test_a_sweep_of_another_version_s_day_is_shown(registry: Path, samples: ModuleType) -> None:
    runs = [samples.swept(n, 2.0, day="day99", params={"ssd_gib": n}) for n in range(2)]
    assert "Sweep of day99" in render_sweep(Swept.of(runs), {})


def test_text_of_any_origin_is_escaped(
    registry: Path, samples: ModuleType, hostile: ModuleType
) -> None:
    for kind, payload in hostile.PAYLOADS.items():
        runs = [
            samples.swept(
                n,
                2.0 if n else None,
                params={"ssd_gib": n, "codec": payload, payload: f"{payload}{n}"},
                label=payload,
                reason=payload,
                status="ok" if n else "failed",
                machine={"cpu": payload},
                machine_id=payload,
                git_sha=payload,
            )
            for n in range(2)
        ]
        html = render_sweep(Swept.of(runs), {}, "index.html")
        main = html.partition("<main")[2].partition("</main>")[0]
        live = [part for part in hostile.live_parts(main) if "application/json" not in part]
        assert live == [], kind


def test_metrics_that_cannot_be_read_are_named_and_hide_no_other_run(
    registry: Path, samples: ModuleType
) -> None:
    runs = [samples.swept(n, 2.0, params={"ssd_gib": n}) for n in range(2)]
    folder = samples.write_run(runs[0])
    (folder / "metrics.parquet").write_bytes(b"torn")
    html = render_sweep(Swept.of(runs), {})
    assert html.count("its metrics cannot be read") == 1
    assert runs[1].run_id in html


def test_what_an_earlier_sweep_made_is_there_and_says_so(registry: Path, samples: Any) -> None:
    first, *rest = samples.sweep_records()[:3]
    sweep = Swept.of([*rest, first.model_copy(update={"sweep": "0123456789ab"})])
    tree = html5lib.parse(render_sweep(sweep, {}), namespaceHTMLElements=False)
    assert "1 run of these was made by an earlier sweep" in _text(tree.find(".//main"))
    notes = ["earlier" in _text(row) for row in _sections(tree)[0].findall(".//tbody/tr")]
    assert notes == [True, False, False]
