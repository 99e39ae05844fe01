"""Runs that end in every way: the record is truthful, the notebook readable, nothing leaks."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import polars as pl
import pytest

from workbench import paths
from workbench.errors import UsageError
from workbench.runs import execute, metrics_file, record, registry, request
from workbench.runs.publish import leftovers
from workbench.runs.request import Request


@pytest.mark.parametrize(
    ("name", "status", "reason", "cell"),
    [
        ("complete", "ok", "", None),
        ("divides", "failed", "ZeroDivisionError: division by zero", (4, "measure", "# how many?")),
        (
            "exits",
            "failed",
            "the notebook stopped at cell 4 [measure] before its end",
            (4, "measure", "import sys; sys.exit(0)"),
        ),
        (
            "sleeps",
            "timed_out",
            "cell 3 [measure] took longer than 3 s; allow more with --timeout",
            (3, "measure", "import time; time.sleep(300)"),
        ),
        (
            "killed",
            "killed",
            "the kernel was killed by SIGKILL in cell 5 [measure]; peak memory",
            (5, "measure", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
        ),
    ],
)
def test_the_record_says_how_it_ended(ended, name, status, reason, cell):
    run = ended.runs[name]
    assert run.record.status == status
    assert run.record.reason.startswith(reason)
    failed = run.record.failed_cell
    assert (failed and (failed.number, failed.tag, failed.first_line)) == cell
    assert record.read(run.folder / record.FILE_NAME) == run.record


@pytest.mark.parametrize("name", ["complete", "divides", "exits", "sleeps", "killed"])
def test_the_notebook_is_readable_and_tells_the_same(ended, name):
    run = ended.runs[name]
    notebook = nbformat.read(run.notebook, as_version=4)
    nbformat.validate(notebook)
    told = [
        cell.metadata.papermill.status
        for cell in notebook.cells
        if cell.cell_type == "code" and "papermill" in cell.metadata
    ]
    done = run.record.cells_done
    assert told[:done] == ["completed"] * done
    assert told[done:] == (["failed", "pending"] if name != "complete" else [])
    assert run.record.cells_total == len(told)


def test_what_was_measured_before_the_kernel_died_is_kept(ended):
    rows = metrics_file.read(ended.runs["killed"].folder / metrics_file.FILE_NAME)
    assert rows["value"].to_list() == [1.5]


def test_a_complete_run_keeps_rows_figure_and_verdict(ended):
    run = ended.runs["complete"]
    rows = metrics_file.read(run.folder / metrics_file.FILE_NAME)
    assert rows.group_by("metric", "variant").agg(pl.len()).sort("variant").rows() == [
        ("size", "", 1),
        ("speed", "new", 12),
        ("speed", "old", 12),
    ]
    assert rows.filter(metric="size")["case"].to_list() == ["store=~/store"]
    figures = json.loads((run.folder / "figures.json").read_text())
    assert [(figure["id"], figure["title"]) for figure in figures] == [("chart-1", "Speed")]
    assert figures[0]["svg"].startswith("<svg")
    assert figures[0]["spec"]["mark"]
    verdict = run.record.verdict
    assert (verdict.verdict, verdict.claim, verdict.baseline) == ("holds", ">= 1.2x", "old")
    assert verdict.sentence == "New is faster in ~."
    assert run.record.peak_rss_bytes > 30 * 2**20
    assert (run.record.source, run.record.preset) == ("workbench", "tiny")


def test_the_last_good_notebook_is_published_and_failures_leave_it_alone(ended):
    latest = ended.folder / "day01" / request.LATEST
    assert latest.read_bytes() == ended.runs["complete"].notebook.read_bytes()


def test_no_artefact_names_this_machine_or_its_user(ended):
    run = ended.runs["complete"]
    secrets = [str(paths.root()), str(ended.home), str(ended.folder.parent)]
    secrets += ["canaryuser", "canaryhost", "canaryhome"]
    if (user := getpass.getuser()) != "root":
        secrets.append(user)
    looked_at = 0
    for path in ended.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert [secret for secret in secrets if secret.encode() in content] == [], path
            looked_at += 1
    assert looked_at >= 15
    # The canaries did sing: what they said is there, by another name.
    text = run.notebook.read_text()
    assert "user host $TMPDIR" in text
    divided = ended.runs["divides"].notebook.read_text()
    assert 'File \\"workbench/runs/days/__init__.py\\"' in divided


def test_no_temporary_file_stays_behind(ended):
    assert [path for run in ended.runs.values() for path in leftovers(run.folder)] == []


def test_a_missing_notebook_is_refused_before_anything_is_written(make_day, runs_folder):
    day = make_day("x = 1")
    day.path.unlink()
    with pytest.raises(UsageError, match=r"there is no notebook .*probe\.ipynb"):
        execute.run(Request(day, day.params()))
    assert list(runs_folder.iterdir()) == []


KILL_POINTS = """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    from conftest import write_notebook, SETUP
    from pathlib import Path
    from workbench.runs import execute
    from workbench.runs.request import Request

    base = Path({base!r})
    day = write_notebook(base / "probe.ipynb", "[setup] " + SETUP, "x = 1", "d.close()")
    request = Request(day, day.params(preset="tiny"))
    count, replace = 0, os.replace

    def kill_at(point):
        def replacing(source, target):
            global count
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
        os.replace = replacing

    def child(point):
        global count
        pid = os.fork()
        if pid == 0:
            kill_at(point)
            execute.run(request)
            os._exit(count)
        return os.waitpid(pid, 0)[1]

    # Only the first run writes down the list of installed packages.
    writes = os.waitstatus_to_exitcode(child(0)) - 1
    print(writes)
    for point in {points}:
        print(os.waitstatus_to_exitcode(child(point if point > 0 else writes + point)))
"""


def test_a_killed_runner_loses_no_published_notebook(tmp_path, runs_folder, data_folder):
    # The runner is killed at writes that every run gets to: how many there are depends on how long
    # its cells take.
    script = textwrap.dedent(KILL_POINTS).format(
        tests=str(Path(__file__).parent), base=str(tmp_path), points=[2, 5, 7]
    )
    python_path = {**os.environ, "PYTHONPATH": str(paths.root())}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=python_path
    )
    writes, *codes = map(int, done.stdout.split())
    assert writes >= 8
    assert codes == [-9] * 3
    latest = nbformat.read(runs_folder / "day01" / request.LATEST, as_version=4)
    assert all(
        cell.metadata.papermill.status == "completed"
        for cell in latest.cells
        if cell.cell_type == "code"
    )
    first, *others = reversed(registry.runs())
    assert first.status == "ok"
    # The last kill came after the record was finished, before the copy was published.
    assert [run.status for run in others] == ["killed"] * 3
    assert {run.reason for run in others[:2]} == {record.GONE}
    for run in others:
        partial = registry.run_folder(run) / request.NOTEBOOK
        if partial.exists():
            nbformat.read(partial, as_version=4)
