"""Draw ratios: one verdict's interval against its claim, and the last runs' ratios as a sparkline.

Follows: Tufte's sparklines; on a log axis 2x and 0.5x are equally far from 1x.
Leaves out: judging a ratio (workbench/benchmark/statistics.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from workbench.report.figures import Figure
from workbench.report.marks import log_ticks
from workbench.report.numbers import claim_factor, claim_text, quantity
from workbench.report.palette import ROLES

# Drawn once and never widened, so it has to be legible on a phone, too.
_INTERVAL_WIDTH = 230
# Logarithm of a claim that stands too near to 1x for two names side by side.
_NEAR = 0.2
_INK = ROLES["optimised"].ink


def ratio_interval(ratio: Mapping[str, float], claim: str, title: str) -> Figure:
    """Draw a ratio's interval beside 1x and the claim, on a log axis.

    Parameters
    ----------
    ratio : mapping   ``median``, ``low`` and ``high``, all above 0
    claim : str       e.g. ``">= 2x"``
    title : str       what is compared with what
    """
    factor = claim_factor(claim)
    row = {name: float(ratio[name]) for name in ("median", "low", "high")}
    spots = [*row.values(), factor, 1.0]
    domain = (min(spots) / 1.15, max(spots) * 1.15)
    scale = alt.Scale(type="log", domain=list(domain), nice=False)
    axis = alt.Axis(
        values=log_ticks(domain), labelExpr="format(datum.value, '~r') + '\u00d7'", grid=False
    )
    chart = _lines(scale, axis, factor, claim) + _span(row, scale)
    sentence = (
        f"{title}: {quantity(row['median'], 'x')}, interval {quantity(row['low'], 'x')} to "
        f"{quantity(row['high'], 'x')}; the claim is {claim_text(claim)}."
    )
    chart = chart.properties(width=_INTERVAL_WIDTH, height=34)
    return Figure(title, chart, sentence)


def sparkline(ratios: Sequence[float], title: str) -> Figure:
    """Draw the last runs' headline ratios, oldest first, as a line the size of a word.

    Parameters
    ----------
    ratios : float[n_runs]   above 0, at least one
    title : str              whose ratios they are
    """
    points = pl.DataFrame({"n": range(len(ratios)), "ratio": [float(ratio) for ratio in ratios]})
    low, high = min(ratios), max(ratios)
    # A flat history stays a flat line in the middle instead of filling the height with noise.
    y = alt.Y("ratio:Q", axis=None, scale=alt.Scale(type="log", domain=[low / 1.1, high * 1.1]))
    base = alt.Chart(points).encode(alt.X("n:Q", axis=None), y)
    last = alt.Chart(points.tail(1)).encode(alt.X("n:Q", axis=None), y)
    chart = base.mark_line(strokeWidth=1.5, color=_INK) + last.mark_point(size=30, color=_INK)
    shown = ", ".join(quantity(float(ratio), "x") for ratio in ratios)
    return Figure(title, chart.properties(width=88, height=20), f"{title}, oldest first: {shown}.")


def _lines(scale: alt.Scale, axis: alt.Axis, factor: float, claim: str) -> alt.LayerChart:
    """Return the dashed lines of 1x and of the claim, named on opposite sides; one if they meet."""
    layers = []
    marks = [(1.0, "no change", factor > 1), (factor, f"claim {claim_text(claim)}", factor <= 1)]
    for at, text, is_left in marks if factor != 1 else marks[1:]:
        base = alt.Chart(pl.DataFrame({"at": [at], "text": [text]}))
        x = alt.X("at:Q", scale=scale, title=None, axis=axis)
        # Over its own line where there is room; beside it where the other one's name would be.
        dx = 6 if abs(math.log(factor)) > _NEAR else -4
        side = {"align": "right", "dx": dx} if is_left else {"align": "left", "dx": -dx}
        name = base.mark_text(baseline="bottom", **side)
        layers += [
            base.mark_rule(strokeWidth=1.5, strokeDash=[6, 4]).encode(x),
            name.encode(x, y=alt.value(-5), text="text:N"),
        ]
    return alt.layer(*layers)


def _span(row: Mapping[str, float], scale: alt.Scale) -> alt.LayerChart:
    base = alt.Chart(pl.DataFrame([row])).encode(y=alt.value(17))
    span = base.mark_rule(strokeWidth=5, color=_INK, strokeCap="round")
    dot = base.mark_point(size=150, shape="diamond", color=_INK)
    return alt.layer(
        span.encode(alt.X("low:Q", scale=scale), x2="high:Q"),
        dot.encode(alt.X("median:Q", scale=scale)),
    )
