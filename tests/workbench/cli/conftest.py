"""Fixtures of the command line: call it as a user does, on a small notebook of Day 1."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import NamedTuple

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.cli import main
from workbench.runs import days
from workbench.runs.params import parameters_cell

SETUP = 'from workbench import day\nd = day.open("day01", locals())'


class Answer(NamedTuple):
    """What the command line answered."""

    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def workbench(monkeypatch, capsys) -> Call:
    """Return a function that calls `workbench` with these words."""

    def call(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["workbench", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Answer(int(ended.value.code or 0), out, err)

    return call


@pytest.fixture
def small_day(tmp_path, monkeypatch, runs_folder, data_folder):
    """Have Day 1 alone, with a notebook that records a few rows and divides by ``seed - 7``."""
    cells = [
        new_code_cell(parameters_cell(days.DAYS["day01"].params)),
        new_code_cell(SETUP),
        new_code_cell("1 / (seed - 7)", metadata={"tags": ["measure"]}),
        new_code_cell(
            "from workbench.benchmark import metrics\n"
            "for name, speed in (('base', 1.0), ('fast', 2.0)):\n"
            "    d.record(metrics.rows('speed', 'GB/s', [speed * block_kib] * 12, variant=name))"
        ),
        new_code_cell("d.close()"),
    ]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "small.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    day = dataclasses.replace(days.DAYS["day01"], notebook=str(path))
    for name in set(days.DAYS) - {"day01"}:
        monkeypatch.delitem(days.DAYS, name)
    monkeypatch.setitem(days.DAYS, "day01", day)
    return day
