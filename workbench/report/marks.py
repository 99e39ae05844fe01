"""The parts charts are put together from: role scales, axis domains and labels that do not collide.

Follows: direct labelling (each line named at its end) instead of legends.
Leaves out: whole charts (charts.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from workbench.errors import ReportError
from workbench.report.palette import ROLES, role_names

# Of the chart's height: one line of 12 px text and a little air.
_LINE_FRAC = 0.075
# As far as labels may reach, as fractions of the height.
_LOWEST, _HIGHEST = 0.0, 1.02


@dataclass(frozen=True, slots=True)
class RoleScales:
    """Colour, dash and shape of every series, from the roles they play."""

    names: tuple[str, ...]
    roles: tuple[str, ...]

    @classmethod
    def of(
        cls, names: Sequence[str], given: Mapping[str, str] | None, *, is_named: bool = False
    ) -> RoleScales:
        """Give every series a role; where each mark is named, those without one share a colour.

        Raises
        ------
        ReportError   if ``given`` names an unknown role
        """
        try:
            return cls(tuple(names), tuple(role_names(names, given or {}, one_colour=is_named)))
        except KeyError as error:
            raise ReportError(str(error.args[0])) from error

    def color(self, column: str) -> alt.Color:
        """Return the colour channel, without a legend."""
        inks = [ROLES[role].ink for role in self.roles]
        return alt.Color(f"{column}:N", legend=None, scale=self._scale(inks))

    def dash(self, column: str) -> alt.StrokeDash:
        """Return the dash channel, without a legend."""
        dashes = [list(ROLES[role].dash) for role in self.roles]
        return alt.StrokeDash(f"{column}:N", legend=None, scale=self._scale(dashes))

    def shape(self, column: str) -> alt.Shape:
        """Return the point shape channel, without a legend."""
        shapes = [ROLES[role].shape for role in self.roles]
        return alt.Shape(f"{column}:N", legend=None, scale=self._scale(shapes))

    def _scale(self, values: list[Any]) -> alt.Scale:
        return alt.Scale(domain=list(self.names), range=values)


def value_domain(values: pl.Series, log: bool) -> tuple[float, float]:
    """Return the axis range that shows all values: from zero, or with a margin on a log axis."""
    low, high = min(values.to_list()), max(values.to_list())
    if log:
        return low / 1.4, high * 1.4
    return min(0.0, low), high * 1.04 if high > 0 else 1.0


def log_ticks(domain: tuple[float, float]) -> list[float]:
    """Return five or so round values inside a log axis's range, evenly spread to the eye."""
    low, high = domain
    if high / low < 4:
        return _linear_ticks(low, high)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if high / low > 2000 else (1, 2, 5) if high / low > 12 else (1, 2, 3, 5)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def check_log(values: pl.Series, title: str, label: str) -> None:
    """Refuse values that a logarithmic axis cannot show.

    Raises
    ------
    ReportError   if a value is zero or negative
    """
    low = min(values.to_list(), default=1.0)
    if low <= 0:
        raise ReportError(
            f"chart {title!r}: {label} has the value {low}, and a log axis needs values above 0; "
            "use a linear axis"
        )


def spread_labels(
    values: Sequence[float], domain: tuple[float, float], *, log: bool, n_lines: int = 1
) -> list[float]:
    """Return positions, in the values' unit, a text line apart and as near their values as can be.

    Lines that are too close become one stack, its middle where the middle of their values is; a
    stack that reaches over the top or below the bottom is pushed back.

    Cost    O(n log n); lines that fit are not moved.
    """
    places = [_fraction(value, domain, log) for value in values]
    order = sorted(range(len(places)), key=places.__getitem__)
    gap = _LINE_FRAC * n_lines
    stacks: list[list[float]] = []
    for index in order:
        stacks.append([places[index]])
        while len(stacks) > 1 and _first(stacks[-1], gap) < _last(stacks[-2], gap) + gap - 1e-12:
            stacks[-2:] = [stacks[-2] + stacks[-1]]
    moved = [_first(stack, gap) + gap * number for stack in stacks for number in range(len(stack))]
    for number, place in enumerate(moved):
        moved[number] = max(place, moved[number - 1] + gap if number else _LOWEST)
    ceiling = _HIGHEST
    for number in reversed(range(len(moved))):
        moved[number] = min(moved[number], ceiling)
        ceiling = moved[number] - gap
    by_index = dict(zip(order, moved, strict=True))
    return [_value(by_index[index], domain, log) for index in range(len(places))]


def _first(stack: list[float], gap: float) -> float:
    """Return where the lowest line of a stack lies, which is centred on its values."""
    value = sum(stack) / len(stack) - gap * (len(stack) - 1) / 2
    return max(value, _LOWEST)


def _last(stack: list[float], gap: float) -> float:
    return _first(stack, gap) + gap * (len(stack) - 1)


def _linear_ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / 5
    scale = 10.0 ** math.floor(math.log10(raw))
    step = scale * next(nice for nice in (1, 2, 5, 10) if nice * scale >= raw)
    first = math.ceil(low / step)
    return [round(number * step, 12) for number in range(first, math.floor(high / step) + 1)]


def _fraction(value: float, domain: tuple[float, float], log: bool) -> float:
    low, high = (math.log(end) for end in domain) if log else domain
    return ((math.log(value) if log else value) - low) / ((high - low) or 1.0)


def _value(fraction: float, domain: tuple[float, float], log: bool) -> float:
    low, high = (math.log(end) for end in domain) if log else domain
    value = low + fraction * (high - low)
    return math.exp(value) if log else value
