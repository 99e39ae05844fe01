"""What every day must say of itself."""

from __future__ import annotations

import dataclasses
import re

import nbformat
import pytest

from workbench import paths
from workbench.runs.days import DAYS
from workbench.runs.params import parameters_cell


@pytest.mark.parametrize("day", DAYS.values(), ids=lambda day: day.name)
def test_a_day_is_complete(day):
    assert re.fullmatch(r"day\d\d", day.name)
    assert re.fullmatch(rf"{day.name}_\w+\.ipynb", day.notebook)
    assert all((day.title, day.question, day.claim))
    assert day.cell_timeout_s > 0
    assert {"preset", "seed", "store"} <= set(day.params.model_fields)


def test_the_notebook_lies_among_the_notebooks_or_where_it_says(tmp_path):
    day = DAYS["day01"]
    assert day.path == paths.notebooks() / "day01_baseline.ipynb"
    other = dataclasses.replace(day, notebook=str(tmp_path / "x.ipynb"))
    assert other.path == tmp_path / "x.ipynb"


@pytest.mark.parametrize("day", DAYS.values(), ids=lambda day: day.name)
def test_the_notebooks_parameters_cell_is_the_models(day):
    notebook = nbformat.read(day.path, as_version=4)
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert [cell.source for cell in tagged] == [parameters_cell(day.params)]
