"""`workbench report` as a person and as a program call it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench import cli
from workbench.errors import UsageError
from workbench.runs.record import RunRecord


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two runs of Day 1 in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "papermill_runs"))
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    for number in (1, 2):
        run = RunRecord(
            run_id=f"2026112{number}T000000Z-abc00{number}",
            day="day01",
            status="ok",
            started=f"2026-11-2{number}T00:00:00+00:00",
            sweep="5eed5eed5eed" if number == 1 else "",
        )
        place = tmp_path / "papermill_runs" / "day01" / run.run_id
        place.mkdir(parents=True)
        (place / "run.json").write_text(run.model_dump_json())
    return tmp_path


def _call(*words: str) -> str:
    result = CliRunner().invoke(cli.app, ["report", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_whole_report_prints_its_paths_as_they_can_be_typed(folder: Path) -> None:
    lines = _call().splitlines()
    assert lines == [
        "papermill_runs/report/index.html",
        "papermill_runs/report/day01.html",
        "papermill_runs/report/sweep-5eed5eed5eed.html",
    ]
    assert all((folder / line).is_file() for line in lines)


def test_programs_get_json(folder: Path) -> None:
    assert json.loads(_call("--all", "--json")) == {
        "pages": [
            "papermill_runs/report/index.html",
            "papermill_runs/report/day01.html",
            "papermill_runs/report/run-20261121T000000Z-abc001.html",
            "papermill_runs/report/sweep-5eed5eed5eed.html",
        ]
    }


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["day01"], "papermill_runs/report/day01.html"),
        (["abc001"], "papermill_runs/report/run-20261121T000000Z-abc001.html"),
        (["day01", "-o", "a.html"], "a.html"),
        (["abc001", "-o", "sub/b.html"], "sub/b.html"),
        (["abc001", "abc002", "-o", "c.html"], "c.html"),
        (["--sweep", "day01"], "papermill_runs/report/sweep-5eed5eed5eed.html"),
        (["--sweep", "5eed", "--all"], "papermill_runs/report/sweep-5eed5eed5eed.html"),
        (["--sweep", "5eed", "-o", "d.html"], "d.html"),
    ],
)
def test_one_page_goes_where_it_is_wanted(folder: Path, words: list[str], path: str) -> None:
    assert _call(*words).splitlines() == [path]
    assert (folder / path).read_text().startswith("<!doctype html>")


def test_the_report_goes_to_another_folder(folder: Path) -> None:
    assert _call("-o", "site").splitlines() == [
        "site/index.html",
        "site/day01.html",
        "site/sweep-5eed5eed5eed.html",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["a", "b", "c"],
        ["day01", "--all"],
        ["day2"],
        ["nowhere"],
        ["day01", "--sweep", "5eed"],
        ["--sweep", "nowhere"],
        ["--sweep", "5eed", "--all", "-o", "a.html"],
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, words: list[str]) -> None:
    with pytest.raises(UsageError):
        CliRunner().invoke(cli.app, ["report", *words], catch_exceptions=False)
