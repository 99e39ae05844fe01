"""`workbench params`: the table, JSON, and the notebook's cell."""

from __future__ import annotations

import json

import nbformat

from workbench.runs.params import describe, parameters_cell


def test_the_table_and_json_show_every_parameter(workbench, small_day):
    told = json.loads(workbench("params", "day01", "--json").out)
    assert told == describe(small_day.params)
    table = workbench("params", "day01").out
    assert all(row["name"] in table for row in told)


def test_sync_writes_the_cell_once(workbench, small_day):
    notebook = nbformat.read(small_day.path, as_version=4)
    notebook.cells[0].source = "seed = 0"
    nbformat.write(notebook, small_day.path)
    assert "rewritten" in workbench("params", "day01", "--sync").out
    synced = nbformat.read(small_day.path, as_version=4)
    assert synced.cells[0].source == parameters_cell(small_day.params)
    assert "up to date" in workbench("params", "day01", "--sync").out


def test_an_unknown_day_is_refused(workbench):
    answer = workbench("params", "day1")
    assert (answer.code, answer.err) == (2, "error: unknown day day1; did you mean day01?\n")
