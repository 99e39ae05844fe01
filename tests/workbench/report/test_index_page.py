import re
from pathlib import Path
from types import ModuleType
from typing import Any

import html5lib
import pytest

from workbench.report.bench_rows import BenchTable, read_benches
from workbench.report.index_page import SweepLink, render_index
from workbench.runs import registry as runs_registry
from workbench.runs.swept import Swept

_NO_BENCH = BenchTable((), ())


def _tree(html: str) -> Any:
    return html5lib.parse(html, namespaceHTMLElements=False)


def _text(element: Any) -> str:
    return " ".join(" ".join(element.itertext()).split())


@pytest.fixture
def week(registry: Path, samples: ModuleType) -> str:
    """The index of a week's work."""
    samples.write_sample_registry()
    records = runs_registry.listing().records
    return render_index(records, {"20261124T034000Z-5eed01": "day01.html"}, _benches(registry))


def _benches(registry: Path) -> BenchTable:
    return read_benches(registry / "bench")


def test_every_run_has_a_row_with_an_anchor(week: str) -> None:
    rows = _tree(week).findall(".//tr[@data-status]")
    assert [row.get("data-status") for row in rows] == [
        "failed",
        "ok",
        "undecided",
        "ok",
        "refuted",
        "ok",
        "ok",
        "ok",
    ]
    assert {row.get("id") for row in rows} == {f"run-{run.run_id}" for run in runs_registry.runs()}


def test_failed_and_undecided_runs_say_why(week: str) -> None:
    rows = {row.get("id"): _text(row) for row in _tree(week).findall(".//tr[@data-status]")}
    assert "No space left on device" in rows["run-20261124T050000Z-5eed02"]
    assert "the verdict does not count" in rows["run-20261123T160000Z-0e0e02"]
    assert "8.40× 8.23× to 8.57×" in rows["run-20261122T120000Z-0e0e01"]


def test_a_day_tells_its_question_and_its_last_verdict(week: str) -> None:
    section = _tree(week).find(".//section[@aria-labelledby='day01-heading']")
    assert section.find(".//h2/a").get("href") == "day01.html"
    assert "Where are we?" in _text(section)
    # The failure afterwards is in the table; it takes nothing back.
    assert _text(section.find(".//p[@class='day-verdict']")).startswith(
        "✓ Claim holds 28.7×, claim ≥ 10×: One compiled"
    )


def test_the_sparkline_is_of_one_machine_and_skips_what_does_not_count(week: str) -> None:
    picture = _tree(week).find(".//figure[@class='spark']/{*}svg")
    assert picture.get("aria-label").endswith("oldest first: 24.1×, 26.0×, 25.2×, 27.9×, 28.7×.")


def test_benchmarks_show_their_bar_and_whether_it_was_met(week: str) -> None:
    section = _tree(week).find(".//section[@aria-labelledby='bench-heading']")
    rows = [_text(row) for row in section.findall(".//tbody/tr")]
    assert len(rows) == 3
    assert "≥ 0.9× ✓ met 12.4 GB/s Example 9 Processor, 2 CPUs" in rows[0]
    assert "for information" in rows[1]
    assert "✗ missed" in rows[2]


def test_filters_offer_what_there_is(week: str) -> None:
    tree = _tree(week)
    options = [option.get("value") for option in tree.findall(".//select[@name='status']/option")]
    assert options == ["", "ok", "refuted", "undecided", "failed"]
    machines = [_text(one) for one in tree.findall(".//select[@name='machine']/option")]
    assert machines == ["all", "Example 9 Processor, 2 CPUs", "Sample M4 Pro, 12 CPUs"]


def test_an_empty_registry_tells_what_to_run(registry: Path) -> None:
    html = render_index([], {}, _NO_BENCH)
    assert "workbench run day01" in html
    assert "make bench" in html
    assert "data-filters" not in html.split("<script>")[0]


def test_a_day_of_another_version_is_kept(registry: Path, samples: ModuleType) -> None:
    html = render_index([samples.record("r1", day="day99")], {}, _NO_BENCH)
    assert _tree(html).find(".//h2[@id='day99-heading']") is not None


def test_problems_are_shown(registry: Path) -> None:
    html = render_index([], {}, BenchTable((), ("x.jsonl line 1: bad",)), ["run.json is torn"])
    assert "x.jsonl line 1: bad" in html
    assert "run.json is torn" in html


def test_text_of_any_origin_is_escaped(
    registry: Path, samples: ModuleType, hostile: ModuleType
) -> None:
    for kind, payload in hostile.PAYLOADS.items():
        run = samples.record(
            "r1",
            label=payload,
            status="failed",
            reason=payload,
            machine={"cpu": payload},
            machine_id=payload,
            git_sha=payload,
            params={payload: payload},
        )
        html = render_index([run], {"r1": "run-r1.html"}, _NO_BENCH, [payload])
        main = re.search(r"<main.*</main>", html, re.DOTALL)
        assert main is not None
        live = [part for part in hostile.live_parts(main[0]) if part not in ("<form>", "<input>")]
        assert live == [], kind


def test_runs_of_other_parameters_are_in_no_common_line(
    registry: Path, samples: ModuleType
) -> None:
    grid = render_index(samples.sweep_records()[::-1], {}, _NO_BENCH)
    assert _tree(grid).find(".//figure[@class='spark']") is None
    again = [samples.swept(n, 2.0 + n) for n in range(3)]
    picture = _tree(render_index(again, {}, _NO_BENCH)).find(".//figure[@class='spark']/{*}svg")
    assert picture.get("aria-label").endswith("4.00×, 3.00×, 2.00×.")


def test_a_sweep_is_linked_where_its_day_is(registry: Path, samples: ModuleType) -> None:
    records = [run.model_copy(update={"label": "grid"}) for run in samples.sweep_records()]
    links = [SweepLink(Swept.of(records), "sweep-x.html")]
    tree = _tree(render_index(records, {}, _NO_BENCH, (), links))
    (item,) = tree.findall(".//section[@aria-labelledby='trace_replay-heading']//ul/li")
    assert item.find("a").get("href") == "sweep-x.html"
    assert _text(item) == (
        "Sweep: grid, policy × ssd_gib × codec, 11 runs last run 24 Nov 2026, 05:10 UTC"
    )


def test_a_verdict_s_sentence_is_no_reason_for_being_undecided(
    registry: Path, samples: ModuleType
) -> None:
    judged = samples.verdict(12.0, "undecided")
    run = samples.record("r1", status="undecided", reason=judged.sentence, verdict=judged)
    (row,) = _tree(render_index([run], {}, _NO_BENCH)).findall(".//tr[@data-status]")
    assert "the interval does not settle the claim ≥ 10×" in _text(row)
    assert judged.sentence not in _text(row)
