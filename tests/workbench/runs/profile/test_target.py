"""Targets: the command of a day and of a verb, the notebook's cells by ipykernel's own hash."""

from __future__ import annotations

import sys

from workbench.runs.days import DAYS
from workbench.runs.params import parse_overrides
from workbench.runs.profile import target
from workbench.runs.profile.target import Target

DAY = DAYS["day01"]


def test_a_day_is_run_with_what_differs_from_its_defaults() -> None:
    params = parse_overrides(DAY.params, ["block_kib=64"], "tiny")
    chosen = target.of_day(DAY, params, 90)
    assert chosen.shown == "workbench run day01 --preset tiny -p block_kib=64 --timeout 90"
    assert chosen.command[:3] == [sys.executable, "-m", "workbench"]
    plain = target.of_day(DAY, parse_overrides(DAY.params, []))
    assert plain.shown == "workbench run day01"


def test_a_verb_is_quoted_as_it_must_be_typed() -> None:
    chosen = Target("generate", ("generate", "--prompt", "a; b"))
    assert chosen.shown == "workbench generate --prompt 'a; b'"
    assert chosen.cells() == {}


def test_cells_are_named_by_number_and_tag_as_workbench_run_counts_them() -> None:
    cells = [
        {"source": "a = 1", "metadata": {"tags": ["parameters"]}},
        {"source": "  ", "metadata": {}},
        {"source": "b = 2", "metadata": {"tags": ["setup"]}},
        {"source": "c = 3"},
    ]
    names = target.cell_names(cells)
    assert list(names.values()) == ["cell 1 (parameters)", "cell 3 (setup)", "cell 4"]
    assert "cell 3 (setup)" in target.of_day(DAY, DAY.params()).cells().values()
