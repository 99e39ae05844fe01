"""The notebook's face. Whole notebooks run in runs/test_execute and runs/test_session."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import altair as alt
import polars as pl
import pytest

from workbench import day
from workbench.benchmark import metrics
from workbench.benchmark.statistics import Ratio
from workbench.errors import UsageError
from workbench.report.figures import CHART_MIME, Figure
from workbench.runs import registry, session

ROWS = metrics.rows("speed", "GB/s", [1.0, 2.0], variant="a")


@pytest.fixture
def shown(monkeypatch) -> list[dict[str, Any]]:
    """Return what is displayed, in order."""
    bundles: list[dict[str, Any]] = []
    monkeypatch.setattr(day, "_display", bundles.append)
    return bundles


@pytest.fixture
def opened(runs_folder, data_folder, shown, monkeypatch) -> day.DaySession:
    """Return a day that was just opened."""
    monkeypatch.delenv("WORKBENCH_RUN_DIR", raising=False)
    monkeypatch.setattr(session, "_current", None)
    return day.open("day01", {"preset": "tiny", "seed": 11, "block_kib": 4})


def test_an_opened_day_knows_its_parameters_plan_seed_and_store(opened, data_folder):
    assert (opened.params.block_kib, opened.seed, opened.interactive) == (4, 11, False)
    assert opened.plan == opened.params.plan()
    assert opened.store == data_folder / "store"
    assert opened.store.is_dir()
    drawn = random.random()
    random.seed(11)
    assert drawn == random.random()


def test_the_chip_names_run_code_and_machine(opened, shown):
    run = registry.find(opened.run_id)
    text = shown[0]["text/plain"]
    assert f"run {run.run_id}" in text
    assert f"git {run.git_sha}" in text
    assert run.machine["cpu"] in text
    assert shown[0]["text/html"].startswith('<p class="workbench-chip">run ')


def test_rows_are_kept(opened):
    opened.record(ROWS)
    assert opened.metrics.equals(ROWS)
    assert registry.metrics([opened.run_id])["value"].to_list() == [1.0, 2.0]


def test_tables_are_shown_as_html_and_text(opened, shown):
    opened.table(pl.DataFrame({"size": [4, 16]}), caption="Sizes")
    assert "<table" in shown[-1]["text/html"]
    assert "Sizes" in shown[-1]["text/html"]
    assert "size" in shown[-1]["text/plain"]


def test_figures_are_shown_and_kept(opened, shown):
    chart = alt.Chart(ROWS).mark_bar().encode(x="variant:N", y="value:Q")
    assert opened.show(Figure("Speed", chart, "One bar.")) is None
    assert set(shown[-1]) == {"image/svg+xml", CHART_MIME, "text/plain"}
    (kept,) = opened._run.figures
    assert (kept["title"], kept["alt"], kept["svg"]) == (
        "Speed",
        "One bar.",
        shown[-1]["image/svg+xml"],
    )


def figure_of(params: Any) -> Figure:
    chart = alt.Chart(ROWS).mark_bar().encode(x="variant:N", y="value:Q")
    return Figure(f"Blocks of {params.block_kib} KiB, seed {params.seed}", chart, "One bar.")


def test_browsing_headless_keeps_the_figure_of_these_parameters(opened, shown):
    opened.browse(figure_of, {"seed": 20}, block_kib=[4, 16])
    (kept,) = opened._run.figures
    assert kept["title"] == "Blocks of 4 KiB, seed 11"
    assert shown[-1]["image/svg+xml"] == kept["svg"]


def test_browsing_live_redraws_and_keeps_nothing(opened, shown, monkeypatch):
    asked: list[Any] = []
    monkeypatch.setattr(opened, "interactive", True)
    monkeypatch.setattr(
        day.controls, "browse", lambda *given, **named: asked.append((given, named))
    )
    opened.browse(figure_of, {"seed": 20}, block_kib=[4, 16])
    ((show, steps, choices, chosen), named) = asked[0]
    assert (steps, choices, named) == ({"seed": 20}, {"block_kib": [4, 16]}, {"interactive": True})
    assert chosen == {"seed": 11, "block_kib": 4}
    show(seed=12, block_kib=16)
    assert "Blocks of 16 KiB, seed 12" in str(shown[-1])
    assert opened._run.figures == []
    assert opened.params.seed == 11


@pytest.mark.parametrize(
    ("low", "high", "status"), [(2.1, 2.3, "ok"), (1.1, 1.3, "refuted"), (1.9, 2.1, "undecided")]
)
def test_the_verdict_is_shown_kept_and_never_raises(opened, shown, low, high, status):
    opened.verdict(
        metric="speed",
        contender="a",
        baseline="b",
        ratio=Ratio((low + high) / 2, low, high, 12),
        claim=">= 2x",
        sentence="As <expected>.",
    )
    said = "holds" if status == "ok" else status
    assert shown[-1]["text/plain"].startswith(f"{said}: speed, a against b: ")
    assert "As &lt;expected&gt;." in shown[-1]["text/html"]
    opened.close()
    assert registry.find(opened.run_id).status == status


def test_wrong_parameters_open_nothing(runs_folder, data_folder):
    with pytest.raises(UsageError, match="blck_kib; did you mean block_kib"):
        day.open("day01", {"In": ["# Parameters\nblck_kib = 4"], "blck_kib": 4})
    with pytest.raises(UsageError, match="unknown day day10; did you mean day0"):
        day.open("day10", {})
    assert registry.runs() == []


def test_autoreload_is_switched_on_when_asked_for(monkeypatch):
    magics: list[tuple[str, str]] = []
    shell = SimpleNamespace(run_line_magic=lambda *magic: magics.append(magic))
    monkeypatch.setattr(day.frontend, "shell", lambda: shell)
    day._autoreload()
    assert magics == []
    monkeypatch.setenv("WORKBENCH_AUTORELOAD", "1")
    day._autoreload()
    assert magics == [("load_ext", "autoreload"), ("autoreload", "2")]


def test_a_script_prints_what_a_notebook_shows(capsys, monkeypatch):
    monkeypatch.setattr(day.frontend, "shell", lambda: None)
    day._line(["a", "", "b"], kind="chip")
    assert capsys.readouterr().out == "a · b\n"
