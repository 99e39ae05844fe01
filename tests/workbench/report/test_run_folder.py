from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from workbench.report.figures import Figure
from workbench.report.run_folder import load
from workbench.runs.record import RecordError


def test_every_part_is_read(
    registry: Path, samples: ModuleType, rows: pl.DataFrame, figures: list[Figure]
) -> None:
    run = samples.record("r1", verdict=samples.verdict())
    notebook = samples.notebook([samples.executed("x = 1")])
    loaded = load(samples.write_run(run, rows, figures[:2], notebook))
    assert loaded.record == run
    assert loaded.metrics.equals(rows)
    assert [entry["title"] for entry in loaded.figures] == [one.title for one in figures[:2]]
    assert loaded.notebook is not None
    assert loaded.notebook.cells[0].source == "x = 1"
    assert loaded.problems == ()


def test_a_record_alone_is_a_run(registry: Path, samples: ModuleType) -> None:
    loaded = load(samples.write_run(samples.record("r1")))
    assert loaded.metrics.is_empty()
    assert (loaded.figures, loaded.notebook, loaded.problems) == ((), None, ())


def test_broken_parts_are_named_and_hide_no_other(registry: Path, samples: ModuleType) -> None:
    folder = samples.write_run(samples.record("r1"))
    (folder / "metrics.parquet").write_bytes(b"PAR1 cut off")
    (folder / "figures.json").write_text('[{"title": ')
    (folder / "out.ipynb").write_text('{"cells": [{"cell_type": "code"}], "nbformat": 4}')
    loaded = load(folder)
    assert loaded.record.run_id == "r1"
    assert [problem.split()[0] for problem in loaded.problems] == [
        "metrics.parquet",
        "figures.json",
        "out.ipynb",
    ]


def test_a_run_whose_process_died_reads_as_killed(registry: Path, samples: ModuleType) -> None:
    run = samples.record("r1", status="running", pid=2**22 + 1, pid_started=1.0)
    assert load(samples.write_run(run)).record.status == "killed"


def test_without_a_record_there_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"run\.json"):
        load(tmp_path)
