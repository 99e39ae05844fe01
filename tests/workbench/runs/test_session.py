"""Sessions outside `workbench run`: JupyterLab's kernel, papermill's command line, a script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jupyter_core.utils import ensure_event_loop
from papermill import PapermillExecutionError, execute_notebook

from workbench import paths
from workbench.benchmark import metrics
from workbench.benchmark.statistics import Ratio
from workbench.errors import UsageError, WorkbenchError
from workbench.runs import metrics_file, record, registry, session, session_report
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.kernel import KernelWatch, manager_class, socket_folder
from workbench.runs.record import RunFile
from workbench.runs.session import Session
from workbench.runs.verdict import Comparison, judge

PARAMS = Day01Params(preset="tiny")
ROWS = metrics.rows("speed", "GB/s", [1.0, 2.0])
REFUTED = judge(Comparison("speed", "a", "b"), Ratio(1, 0.9, 1.1, 12), ">= 2x", sentence="No.")


@pytest.fixture
def folders(runs_folder, data_folder, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RUN_DIR", raising=False)
    monkeypatch.setattr(session, "_current", None)
    return runs_folder


@pytest.fixture
def owned(folders) -> Session:
    """Return a session that owns its run.json, as in JupyterLab."""
    own = RunFile.create(record.new("day01", PARAMS, "jupyterlab"))
    return Session(own.record, own.folder, own)


def on_disk(run: Session) -> record.RunRecord:
    return record.read(run.folder / record.FILE_NAME)


def test_rows_are_on_disk_at_once_and_add_up(owned):
    owned.add_metrics(ROWS)
    assert metrics_file.read(owned.folder / "metrics.parquet").equals(ROWS)
    owned.add_metrics(ROWS.with_columns(value=pl.col("value") * 2))
    values = metrics_file.read(owned.folder / "metrics.parquet")["value"].to_list()
    assert values == owned.metrics["value"].to_list() == [1.0, 2.0, 2.0, 4.0]


def test_a_figure_shown_again_replaces_itself(owned):
    for title, alt in (("A", "old"), ("B", "b"), ("A", f"new in {paths.root()}/x")):
        owned.add_figure({"title": title, "alt": alt, "spec": {}, "svg": "<svg/>"})
    figures = json.loads((owned.folder / "figures.json").read_text())
    assert [(f["id"], f["title"], f["alt"]) for f in figures] == [
        ("chart-1", "A", "new in x"),
        ("chart-2", "B", "b"),
    ]


def test_closing_ends_the_run_by_its_verdict(owned):
    owned.set_verdict(REFUTED)
    owned.close()
    owned.close()
    ended = on_disk(owned)
    assert (ended.status, ended.reason, ended.verdict) == ("refuted", "No.", REFUTED)
    assert ended.peak_rss_bytes > 2**20


def test_a_closed_run_takes_no_more_rows_and_shows_what_it_is_shown(owned):
    owned.close()
    with pytest.raises(WorkbenchError, match="is closed; run the setup cell again"):
        owned.add_metrics(ROWS)
    owned.add_figure({"title": "A", "alt": "a", "spec": {}, "svg": "<svg/>"})
    owned.set_verdict(REFUTED)
    assert not (owned.folder / "figures.json").exists()
    assert on_disk(owned).status == "ok"


def test_a_failing_cell_fails_the_run_until_its_user_gets_to_the_end(owned):
    owned.cell_ended(3, "\n# fine\nx = 1", None)
    owned.cell_ended(4, "\n\n# how many?\n1 / 0", ZeroDivisionError("division by zero"))
    failed = on_disk(owned)
    assert (failed.status, failed.reason) == ("failed", "ZeroDivisionError: division by zero")
    assert (failed.failed_cell.number, failed.failed_cell.first_line) == (4, "# how many?")
    assert failed.cells_done == 1
    owned.cell_ended(5, "raise KeyboardInterrupt", KeyboardInterrupt())
    assert on_disk(owned).reason == "KeyboardInterrupt"
    owned.close()
    ended = on_disk(owned)
    assert (ended.status, ended.reason, ended.failed_cell) == ("ok", "", None)
    owned.cell_ended(9, "1 / 0", ZeroDivisionError())
    assert on_disk(owned).status == "ok"


def test_an_abandoned_run_is_interrupted_but_a_failed_one_stays_failed(owned):
    owned.cell_ended(4, "1 / 0", ZeroDivisionError("division by zero"))
    owned.abandon("the kernel ended before d.close()")
    assert on_disk(owned).status == "failed"


def test_opening_again_ends_the_earlier_run(folders):
    first = session.open_session("day01", PARAMS)
    second = session.open_session("day01", PARAMS)
    assert on_disk(first).status == "interrupted"
    assert on_disk(first).reason == "its notebook opened another run"
    assert on_disk(second).status == "running"
    second.close()


def test_under_a_parent_only_session_json_is_written(folders, monkeypatch):
    parent = RunFile.create(record.new("day01", PARAMS, "workbench"))
    before = (parent.folder / record.FILE_NAME).read_bytes()
    monkeypatch.setenv("WORKBENCH_RUN_DIR", str(parent.folder))
    run = session.open_session("day01", PARAMS)
    run.cell_ended(2, "1 / 0", ZeroDivisionError())
    assert session_report.read(parent.folder).closed is False
    run.set_verdict(REFUTED)
    run.close()
    report = session_report.read(parent.folder)
    assert (report.closed, report.verdict) == (True, REFUTED)
    assert (parent.folder / record.FILE_NAME).read_bytes() == before


def test_parameters_must_be_those_the_run_was_started_with(folders, monkeypatch):
    parent = RunFile.create(record.new("day01", PARAMS, "workbench"))
    monkeypatch.setenv("WORKBENCH_RUN_DIR", str(parent.folder))
    with pytest.raises(UsageError, match="changed parameters after they were injected"):
        session.open_session("day01", Day01Params(preset="full"))
    with pytest.raises(UsageError, match="opens 'day02', but the run is of 'day01'"):
        session.open_session("day02", PARAMS)


class Lab:
    """One live kernel with a front end that its user can be asked through, as in JupyterLab."""

    def __init__(self, sockets: Path) -> None:
        self.manager = manager_class(sockets, KernelWatch())(kernel_name="python3")
        wait(self.manager.start_kernel(env={**os.environ, "PYTHONPATH": str(paths.root())}))
        self.client = self.manager.client()
        self.client.start_channels()
        wait(self.client.wait_for_ready(timeout=60))

    def run(self, code: str) -> str:
        """Run a cell and return what it printed."""
        printed: list[str] = []
        cell = self.client.execute_interactive(
            code,
            allow_stdin=True,
            stdin_hook=lambda message: None,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
            timeout=60,
        )
        wait(cell)
        return "".join(printed)

    def end(self) -> None:
        """Shut the kernel down politely; again is harmless."""
        if self.manager.has_kernel:
            self.client.stop_channels()
            wait(self.manager.shutdown_kernel())


def wait(awaitable: Coroutine[Any, Any, Any]) -> Any:
    return ensure_event_loop().run_until_complete(awaitable)


@pytest.fixture
def lab(folders) -> Iterator[Lab]:
    with socket_folder() as sockets:
        kernel = Lab(sockets)
        yield kernel
        kernel.end()


def test_jupyterlab_from_failure_to_the_end_and_a_kernel_that_ends(lab, folders):
    lab.run("# Parameters\npreset = 'tiny'")
    lab.run("from workbench import day\nd = day.open('day01', locals())")
    said = lab.run("print(d.interactive, d.params.preset, d.store.is_dir())")
    assert said.split() == ["True", "tiny", "True"]
    (run,) = registry.runs()
    assert (run.status, run.source, run.preset) == ("running", "jupyterlab", "tiny")
    assert registry.measuring_now() == []
    lab.run("# oh\n1 / 0")
    (run,) = registry.runs()
    assert (run.status, run.failed_cell.first_line) == ("failed", "# oh")
    lab.run("d.close()")
    (run,) = registry.runs()
    assert (run.status, run.reason) == ("ok", "")

    lab.run("d = day.open('day01', locals())")
    assert [run.status for run in registry.runs()] == ["running", "ok"]
    lab.end()
    latest = registry.runs()[0]
    assert (latest.status, latest.reason) == ("interrupted", "the kernel ended before d.close()")


def test_plain_papermill_lands_in_the_same_registry(make_day, setup_cell, folders, tmp_path):
    day = make_day(setup_cell.removeprefix("[setup] "), "print(d.interactive)", "d.close()")
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", str(day.path), str(out), "-p", "preset", "tiny"]
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(paths.root())},
    )
    (run,) = registry.runs()
    assert (run.status, run.source, run.preset) == ("ok", "papermill", "tiny")
    assert '"False\\n"' in out.read_text()
    # Papermill itself only warns of a name it does not know; the day refuses it.
    with pytest.raises(PapermillExecutionError, match="blck_kib; did you mean block_kib"):
        execute_notebook(str(day.path), None, parameters={"blck_kib": 4}, progress_bar=False)
    assert registry.runs() == [run]


def test_a_script_can_open_a_day_too(folders, capsys, monkeypatch):
    from workbench import day

    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    opened = day.open("day01", {"preset": "tiny", "seed": 5})
    opened.record(ROWS)
    opened.close()
    (run,) = registry.runs()
    assert (run.status, run.source, run.seed) == ("ok", "script", 5)
    assert registry.metrics([run.run_id])["value"].to_list() == [1.0, 2.0]
    assert f"run {run.run_id}" in capsys.readouterr().out
