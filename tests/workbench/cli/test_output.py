"""Answers: JSON on one line for programs, a table for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.cli.output import print_json, print_table


def test_json_is_one_line_and_takes_paths(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1, None], "path": Path("x/y")})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"a": [1, None], "path": "x/y"}


def test_json_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json(float("nan"))


def test_a_table_shows_every_row_and_nothing_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"name": "a", "age": 1}, {"name": "b", "age": None}], title="Days")
    printed = capsys.readouterr().out
    assert "Days" in printed
    assert "name" in printed
    assert "None" not in printed
    assert len([line for line in printed.splitlines() if "│" in line]) == 2


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([])
    assert "nothing" in capsys.readouterr().out


def test_a_table_that_is_piped_is_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    row = {f"column {number}": f"a value of some length {number}" for number in range(12)}
    print_table([row])
    printed = capsys.readouterr().out
    assert all(text in printed for pair in row.items() for text in pair)
    monkeypatch.setenv("COLUMNS", "60")
    print_table([row])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
