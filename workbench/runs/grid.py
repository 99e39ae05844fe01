"""The points of a parameter grid, from ``name=value,value`` texts.

Follows: every value is read and checked as a single one is; all problems are told at once.
Leaves out: running the points (sweep.py). A text value cannot hold a comma.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence

from workbench.errors import UsageError
from workbench.runs.params import P, read_overrides, validate


def grid(model: type[P], overrides: Sequence[str], preset: str | None = None) -> tuple[P, ...]:
    """Return the parameters at every point of ``name=value,value`` texts.

    Raises
    ------
    UsageError   with one line for every problem in any value
    """
    axes: dict[str, list[object]] = {"preset": [preset]} if preset is not None else {}
    problems: list[str] = []
    for name, text in _single_values(overrides):
        values, wrong = read_overrides(model, [text])
        problems += wrong
        if values:  # an axis without a good value would leave no point to check the others at
            axes.setdefault(name, []).extend(values.values())
    points: list[P] = []
    for point in itertools.product(*axes.values()):
        try:
            points.append(validate(model, dict(zip(axes, point, strict=True))))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(list(dict.fromkeys(problems)))
    return tuple(dict.fromkeys(points))


def grid_id(day: str, label: str, points: Iterable[str]) -> str:
    """Return 12 hex digits that the same grid with the same label always has.

    Parameters
    ----------
    points : iterable of str   ``params_hash`` of every point, in any order
    """
    canonical = json.dumps([day, label, sorted(points)])
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _single_values(overrides: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name, "name=value") for every value of every text."""
    single: list[tuple[str, str]] = []
    for text in overrides:
        name, equals, values = text.partition("=")
        if equals:
            single += [(name, f"{name}={value}") for value in values.split(",")]
        else:
            single.append((name, text))
    return single
