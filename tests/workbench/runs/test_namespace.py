"""Parameters from a notebook's variables: what papermill injected is held against the model."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.errors import UsageError
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.namespace import read_params
from workbench.runs.params import parameters_cell

OWN = parameters_cell(Day01Params)
SETUP = 'from workbench import day\nd = day.open("day01", locals())'


def after(*cells: str) -> dict[str, Any]:
    """Return the variables of a notebook that ran these cells."""
    namespace: dict[str, Any] = {}
    for cell in cells:
        exec(cell, namespace)
    return {**namespace, "In": ["", *cells, SETUP]}


def test_the_cell_alone_gives_the_defaults():
    assert read_params(Day01Params, after(OWN)) == Day01Params()


def test_injected_values_win():
    found = read_params(Day01Params, after(OWN, '# Parameters\nblock_kib = 4\nmodel = "007"\n'))
    assert (found.block_kib, found.model) == (4, "007")


def test_everything_wrong_with_the_injected_cell_is_told():
    injected = "# Parameters\nblck_kib = 4\nblock_kib = 5\nmodel = 7\nrounds = 1.5\n"
    with pytest.raises(UsageError) as caught:
        read_params(Day01Params, after(OWN, injected))
    assert [problem.partition(" (")[0] for problem in caught.value.problems] == [
        "unknown parameter blck_kib; did you mean block_kib?",
        "block_kib=5 is not one of the choices",
        "model=7 is not text",
        "rounds=1.5 is not a whole number",
    ]


def test_a_name_unlike_any_parameter_is_refused_too_when_it_was_injected():
    with pytest.raises(UsageError, match="unknown parameter walrus; there are"):
        read_params(Day01Params, after(OWN, "# Parameters\nwalrus = 4\n"))


def test_a_corrected_cell_counts_as_last_run():
    wrong = OWN.replace("block_kib: int", "blck_kib: int")
    with pytest.raises(UsageError, match="unknown parameter blck_kib"):
        read_params(Day01Params, after(wrong))
    assert read_params(Day01Params, after(wrong, OWN)).block_kib == 16


def test_a_notebooks_own_variables_are_its_own():
    own = after(OWN, "block_kb = 3\nplan = None\nseeds = [1]")
    assert read_params(Day01Params, own) == Day01Params()


def test_without_any_parameters_cell_slips_are_noticed():
    with pytest.raises(UsageError, match="unknown parameter blck_kib; did you mean block_kib"):
        read_params(Day01Params, {"blck_kib": 4})
    assert read_params(Day01Params, {"x": 4, "block_kib": 64, "_seed": 1}).block_kib == 64
    assert read_params(Day01Params, {"model_s": [1]}) == Day01Params()


def test_a_cell_of_magics_is_passed_over():
    namespace = {"In": ["", "# Parameters\n%time x = 1"], "seed": 3}
    assert read_params(Day01Params, namespace).seed == 3
