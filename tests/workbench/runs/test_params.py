"""Parameters: every problem at once, no value changes type, the notebook says the same."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

import nbformat
import pytest
from papermill import inspect_notebook
from pydantic import ValidationError

from workbench.errors import UsageError
from workbench.runs.days import DAYS
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.params import (
    DayParams,
    closest,
    describe,
    param,
    parameters_cell,
    params_hash,
    parse_overrides,
    sync_notebook,
    validate,
)


class Probe(DayParams):
    """One field of each kind."""

    name: str = param("x", "a text", unit="words")
    share: float = param(0.5, "a share", ge=0, le=1)
    on: bool = param(True, "a switch")
    limit: int | None = param(None, "a limit", unit="bytes", ge=1)


def problems(call: Any, *arguments: Any) -> list[str]:
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_all_problems_of_all_kinds_are_told_at_once():
    texts = ["blck_kib=4", "block_kib=abc", "rounds=3", "hot_tokens=1.5", "seed", "medium=tape"]
    assert problems(parse_overrides, Day01Params, texts) == [
        "unknown parameter blck_kib; did you mean block_kib? "
        "(one of 4, 16, 64, 256, 1024; KiB per block)",
        "block_kib=abc is not one of the choices (one of 4, 16, 64, 256, 1024; KiB per block)",
        "hot_tokens=1.5 is not a whole number (64..65536; tokens)",
        "'seed' is not of the form name=value",
        "medium=tape is not one of the choices (one of device, page_cache)",
        "rounds=3 is out of range (10..200 or None)",
    ]


def test_a_name_like_no_other_gets_the_list():
    (problem,) = problems(parse_overrides, Day01Params, ["zzzz=1"])
    assert problem == f"unknown parameter zzzz; there are {', '.join(Day01Params.model_fields)}"


def test_values_given_twice_are_refused():
    assert problems(parse_overrides, Day01Params, ["seed=1", "seed=2"]) == [
        "seed is given twice; give it once"
    ]
    assert problems(parse_overrides, Day01Params, ["preset=full"], "tiny") == [
        "preset is given twice; use either --preset or -p preset=..."
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name=007", "007"),
        ("name=True", "True"),
        ("name=a=b", "a=b"),
        ("name=", ""),
        ("share=1", 1.0),
        ("on=false", False),
        ("limit=none", None),
        ("limit=+12", 12),
    ],
)
def test_text_is_read_as_the_field_says(text, value):
    name = text.partition("=")[0]
    read = getattr(parse_overrides(Probe, [text]), name)
    assert (read, type(read)) == (value, type(value))


def test_typed_values_keep_their_type_or_are_refused():
    wrong = {"name": 7, "share": "1", "on": 1, "limit": 2.0, "seed": True, "nmae": "x"}
    assert problems(validate, Probe, wrong) == [
        "unknown parameter nmae; did you mean name? (words)",
        "seed=True is not a whole number (0..4294967295)",
        "name=7 is not text (words)",
        "share='1' is not a number (0..1)",
        "on=1 is neither True nor False",
        "limit=2.0 is not a whole number (at least 1 or None; bytes)",
    ]
    assert validate(Probe, {"share": 1}).share == 1


def test_parameters_are_frozen():
    with pytest.raises(ValidationError):
        Probe().name = "y"


def test_equal_parameters_have_equal_hashes_and_others_not():
    same = parse_overrides(Day01Params, ["block_kib=16"])
    assert params_hash(same) == params_hash(Day01Params())
    assert params_hash(Day01Params(seed=1)) != params_hash(Day01Params())


def test_help_has_a_row_for_each_parameter():
    rows = {row["name"]: row for row in describe(Day01Params)}
    assert rows["block_kib"] == {
        "name": "block_kib",
        "type": "int",
        "range": "one of 4, 16, 64, 256, 1024",
        "unit": "KiB per block",
        "default": 16,
        "help": "block size shown in detail",
    }
    assert rows["rounds"]["type"] == "int or None"
    assert all(row["help"] for row in rows.values())


@pytest.mark.parametrize("model", [Probe, *(day.params for day in DAYS.values())])
def test_the_cell_assigns_each_default_as_a_literal_with_one_equals_sign(model):
    source = parameters_cell(model)
    assigned = {}
    for line in source.splitlines()[1:]:
        assert line.count("=") == 1
        assert "  # " in line
        (statement,) = ast.parse(line).body
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        assigned[target.id] = ast.literal_eval(statement.value)
    assert assigned == model().model_dump()
    assert validate(model, assigned) == model()


def test_papermill_lists_every_parameter_of_the_cell(make_day):
    day = make_day("x = 1")
    inferred = inspect_notebook(str(day.path))
    assert list(inferred) == list(day.params.model_fields)
    assert inferred["block_kib"]["inferred_type_name"] == "int"
    assert inferred["block_kib"]["help"].startswith("block size shown in detail; KiB per block")


def test_sync_rewrites_a_stale_cell_and_nothing_else(make_day):
    day = make_day("x = 1")
    notebook = nbformat.read(day.path, as_version=4)
    notebook.cells[1].source = "block_kib = 5"
    nbformat.write(notebook, day.path)
    assert sync_notebook(day) is True
    synced = nbformat.read(day.path, as_version=4)
    assert synced.cells[1].source == parameters_cell(day.params)
    assert (synced.cells[0], synced.cells[2]) == (notebook.cells[0], notebook.cells[2])
    before = day.path.read_bytes()
    assert sync_notebook(day) is False
    assert day.path.read_bytes() == before


def test_sync_needs_a_notebook_with_one_tagged_cell(make_day, tmp_path):
    day = make_day("[parameters] x = 1")
    with pytest.raises(UsageError, match="has 2 cells tagged 'parameters'"):
        sync_notebook(day)
    with pytest.raises(UsageError, match="there is no notebook"):
        sync_notebook(dataclasses.replace(day, notebook=str(tmp_path / "no.ipynb")))


def test_closest_guesses_slips_only():
    assert closest("blck_kib", ["block_kib", "rounds"]) == "block_kib"
    assert closest("qqq", ["block_kib", "rounds"]) is None
