import re
from pathlib import Path
from types import ModuleType
from typing import Any

import html5lib
import polars as pl
import pytest
from nbformat.v4 import new_markdown_cell

from workbench.report.figures import Figure
from workbench.report.run_folder import RunFolder, load
from workbench.report.run_page import Links, render_run


@pytest.fixture
def write(registry: Path, samples: ModuleType) -> Any:
    def write_and_load(run: Any, *parts: Any, **named: Any) -> RunFolder:
        return load(samples.write_run(run, *parts, **named))

    return write_and_load


def _tree(html: str) -> Any:
    return html5lib.parse(html, namespaceHTMLElements=False)


def _text(element: Any) -> str:
    return " ".join(" ".join(element.itertext()).split())


def test_a_page_has_the_landmarks_and_one_heading(
    write: Any, samples: ModuleType, rows: pl.DataFrame, figures: list[Figure]
) -> None:
    run = samples.record("r1", verdict=samples.verdict())
    tree = _tree(render_run(write(run, rows, figures, samples.day1_parts()[2])))
    assert tree.get("lang") == "en"
    assert _text(tree.find(".//title")) == "Day 1: baseline: Claim holds - workbench report"
    assert len(tree.findall(".//h1")) == 1
    for landmark in ("header", "nav", "main", "footer"):
        assert len(tree.findall(f".//{landmark}")) == 1, landmark
    skip = tree.find(".//a[@class='skip']")
    assert skip.get("href") == f"#{tree.find('.//main').get('id')}"


def test_the_verdict_comes_first_and_in_words(write: Any, samples: ModuleType) -> None:
    main = _tree(render_run(write(samples.record("r1", verdict=samples.verdict())))).find(".//main")
    section = main.find("./section")
    assert section.get("id") == "verdict"
    told = _text(section)
    assert "Claim holds 28.7× 99 % interval 28.1× to 29.3×, 20 measurements" in told
    assert "Baseline python per head" in told
    assert (
        section.find(".//{*}svg")
        .get("aria-label")
        .startswith("njit scalar against python per head")
    )


def test_the_headline_chart_is_the_verdicts_and_is_shown_once(
    write: Any, samples: ModuleType, rows: pl.DataFrame, figures: list[Figure]
) -> None:
    run = samples.record("r1", verdict=samples.verdict())
    html = render_run(write(run, rows, figures, samples.day1_parts()[2]))
    charts = re.findall(r'<figure class="chart[^"]*" id="(chart-\d)"', html)
    assert charts == ["chart-5", "chart-1", "chart-2", "chart-3", "chart-4"]
    assert '<a href="#chart-5">Chart 5</a> is shown at the top' in html


def test_without_a_verdict_the_last_chart_leads(
    write: Any, samples: ModuleType, rows: pl.DataFrame, figures: list[Figure]
) -> None:
    html = render_run(write(samples.record("r1"), rows, figures[:3]))
    assert re.findall(r'<figure class="chart[^"]*" id="(chart-\d)"', html)[0] == "chart-3"
    assert "claimed nothing" in html


def test_ids_are_unique_and_every_link_inside_arrives(
    write: Any, samples: ModuleType, rows: pl.DataFrame, figures: list[Figure]
) -> None:
    failed = samples.record(
        "r1", status="failed", reason="x", failed_cell={"number": 3, "first_line": "y"}
    )
    runs = [
        write(failed, rows, figures, samples.failed_notebook()),
        write(samples.record("r2"), rows, figures, samples.day1_parts()[2]),
    ]
    for run in runs:
        elements = list(_tree(render_run(run)).iter())
        ids = [element.get("id") for element in elements if element.get("id")]
        assert len(set(ids)) == len(ids)
        links = [element.get("href", "") for element in elements if element.tag == "a"]
        assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_a_run_made_in_jupyter_shows_its_kept_figures(
    write: Any, samples: ModuleType, rows: pl.DataFrame, figures: list[Figure]
) -> None:
    run = samples.record("r1", source="jupyterlab", verdict=samples.verdict())
    html = render_run(write(run, rows, figures))
    assert len(re.findall(r"<figure class=\"chart", html)) == len(figures)
    assert "made in Jupyter" in html


def test_a_failed_run_says_where_and_why(write: Any, samples: ModuleType) -> None:
    run = samples.record(
        "r1",
        status="failed",
        reason="OSError: [Errno 28] No space left on device",
        failed_cell={"number": 3, "tag": "storage", "first_line": "rows = storage.sweep(d.store)"},
        cells_done=2,
    )
    html = render_run(write(run, executed_notebook=samples.failed_notebook()))
    told = _text(_tree(html).find(".//section[@id='verdict']"))
    assert "Failed OSError: [Errno 28] No space left on device" in told
    assert (
        "Stopped in cell 3 (storage): rows = storage.sweep(d.store) . 2 of 8 cells had run." in told
    )
    assert 'href="#cell-3"' in html


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("refuted", "Claim refuted"),
        ("undecided", "Undecided"),
        ("timed_out", "Timed out"),
        ("killed", "Killed"),
        ("interrupted", "Interrupted"),
        ("running", "Running"),
    ],
)
def test_every_status_has_a_page(write: Any, samples: ModuleType, status: str, text: str) -> None:
    # A running record belongs to a live process: this one.
    import os

    import psutil

    mine = {"pid": os.getpid(), "pid_started": psutil.Process().create_time()}
    html = render_run(write(samples.record("r1", status=status, **mine)))
    assert text in _text(_tree(html).find(".//section[@id='verdict']"))


def test_parameters_show_what_changed_and_fold_the_rest(write: Any, samples: ModuleType) -> None:
    run = samples.record("r1", params={**samples.PARAMS, "block_kib": 64})
    tree = _tree(render_run(write(run)))
    section = tree.find(".//section[@aria-labelledby='parameters-heading']")
    assert "block_kib 64 16" in _text(section.find("./div/table/tbody/tr"))
    assert _text(section.find("./details/summary")) == "7 parameters at their defaults"


def test_raw_numbers_are_summed_up_and_whole_in_the_block(
    write: Any, samples: ModuleType, rows: pl.DataFrame
) -> None:
    html = render_run(write(samples.record("r1"), rows))
    series = rows.select("metric", "tier", "case", "variant").n_unique()
    assert f"{rows.height} measured values in {series} series" in _text(_tree(html))
    assert "This run recorded no metrics." in render_run(write(samples.record("r2")))


def test_a_reason_stands_beside_the_verdict_and_is_said_once(
    write: Any, samples: ModuleType
) -> None:
    reason = "other runs measured at the same time, so the verdict does not count"
    verdict = samples.verdict(outcome="undecided")
    changes = {"status": "undecided", "verdict": verdict, "contended": True, "reason": reason}
    html = render_run(write(samples.record("r1", **changes)))
    told = _text(_tree(html).find(".//section[@id='verdict']"))
    assert told.count(reason) == 1
    assert "Other work ran" not in told
    changes = {"status": "refuted", "verdict": verdict, "reason": verdict.sentence}
    html = render_run(write(samples.record("r2", **changes)))
    assert _text(_tree(html).find(".//section[@id='verdict']")).count(verdict.sentence) == 1


def test_text_of_any_origin_is_escaped(
    write: Any, samples: ModuleType, hostile: ModuleType
) -> None:
    for number, (kind, payload) in enumerate(hostile.PAYLOADS.items()):
        verdict = samples.verdict().model_copy(
            update={name: payload for name in ("metric", "contender", "baseline", "sentence")}
        )
        run = samples.record(
            f"r{number}",
            label=payload,
            reason=payload,
            preset=payload,
            branch=payload,
            git_sha=payload,
            params={payload: payload},
            machine={"cpu": payload, "disk_model": payload},
            machine_id=payload,
            verdict=verdict,
            failed_cell={"number": 1, "tag": payload, "first_line": payload},
        )
        frame = pl.DataFrame(
            {
                "metric": [payload],
                "unit": [payload],
                "tier": "",
                "case": payload,
                "variant": payload,
            }
        ).with_columns(repeat=0, value=1.0)
        html = render_run(write(run, frame))
        assert _dead(html, hostile), kind


def test_a_hostile_notebook_is_dead_on_the_page(
    write: Any, samples: ModuleType, hostile: ModuleType
) -> None:
    html = render_run(write(samples.record("r1"), executed_notebook=hostile.hostile_notebook()))
    assert _dead(html, hostile)


def test_a_broken_notebook_is_said_so_and_figures_stay(
    write: Any, samples: ModuleType, figures: list[Figure], registry: Path
) -> None:
    folder = samples.write_run(samples.record("r1"), None, figures[:1])
    (folder / "out.ipynb").write_text("{")
    html = render_run(load(folder))
    assert "out.ipynb cannot be read" in html
    assert 'id="chart-1"' in html


def test_a_link_home_only_where_there_is_one(write: Any, samples: ModuleType) -> None:
    run = write(samples.record("r1"))
    assert 'href="index.html"' in render_run(run, Links(home="index.html"))
    assert "index.html" not in render_run(run)


def test_prose_comes_through(write: Any, samples: ModuleType, figures: list[Figure]) -> None:
    cells = [
        new_markdown_cell("# Title\n\nIntro."),
        new_markdown_cell("## Part one\n\n- a\n- b"),
        samples.executed("show()", [samples.shown(samples.bundled(figures[0]))]),
    ]
    tree = _tree(render_run(write(samples.record("r1"), executed_notebook=samples.notebook(cells))))
    assert [_text(item) for item in tree.findall(".//div[@class='prose']//li")] == ["a", "b"]
    outline = [_text(item) for item in tree.findall(".//nav//li")]
    assert outline[:4] == ["Verdict", "Headline chart", "The notebook", "Part one"]


def _dead(html: str, hostile: ModuleType) -> bool:
    """Tell whether nothing but the page's own head and scripts is live."""
    body = html[html.index("<body>") :]
    ours = re.sub(r"<script>.*?</script>", "", body, flags=re.DOTALL)
    ours = re.sub(r"<button [^>]*hidden>", "", ours)
    return hostile.live_parts(ours) == []
