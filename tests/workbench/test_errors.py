"""Errors: each carries the exit code that the command line answers."""

from __future__ import annotations

from workbench import errors


def test_exit_codes() -> None:
    assert errors.WorkbenchError("x").exit_code == 3
    assert errors.UsageError("x").exit_code == 2
    assert errors.DataError("x").exit_code == 3


def test_a_usage_error_carries_every_problem() -> None:
    both = errors.UsageError(["unknown parameter a", "b is out of range"])
    assert both.problems == ["unknown parameter a", "b is out of range"]
    assert str(both) == "unknown parameter a\nb is out of range"
    assert errors.UsageError("one").problems == ["one"]
