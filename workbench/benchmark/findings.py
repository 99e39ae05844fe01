"""Say what a named benchmark found: one row a case, judged against its bar.

Follows: every case beside what it is held against, in one unit; asv's two-key rule for bars.
Leaves out: which benchmarks there are and where rows are kept (bars.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from workbench.benchmark.machine import identify
from workbench.benchmark.statistics import Claim, Ratio

Preset = Literal["tiny", "standard", "full"]
PRESETS: tuple[Preset, ...] = ("tiny", "standard", "full")

# The units of which less is better; all others are rates.
SECONDS, MEMORY = "s", "MB"
_COSTS = frozenset((SECONDS, MEMORY))


@dataclass(frozen=True, slots=True)
class Row:
    """One case of a benchmark, judged; ``bar`` and ``met`` are None where nothing is demanded.

    Attributes
    ----------
    ratio, low, high : float   median and interval of case over ceiling (or baseline); of times and
                               memory, of ceiling over case, so that more is always better
    bar : str or None          what the ratio must reach, e.g. ``">= 0.9x"``
    met : bool or None         True only when the whole interval passes the bar, or, where the bar
                               says so, the median
    ceiling : float            median rate of what the case is held against, in ``unit``; or a time,
                               measured or allowed, where the unit is ``"s"``; or memory, ``"MB"``
    """

    bench: str
    case: str
    ratio: float
    low: float
    high: float
    bar: str | None
    met: bool | None
    ceiling: float
    unit: str
    machine_id: str

    @property
    def value(self) -> float:
        """Return what the case itself reached, in ``unit``."""
        return self.ceiling / self.ratio if self.unit in _COSTS else self.ceiling * self.ratio


@dataclass(frozen=True, slots=True)
class Finding:
    """A measured case before it is named and judged.

    ``by_median`` judges the median alone: what fio reaches of fio, run twice a round on a shared
    disk, would itself fail a bar near 1 on its interval.
    """

    case: str
    ratio: Ratio
    ceiling: float
    unit: str
    claim: Claim | None = None
    by_median: bool = False

    @property
    def bar(self) -> str | None:
        """Return what the ratio must reach, in words."""
        if self.claim is None:
            return None
        return f"median {self.claim}" if self.by_median else str(self.claim)

    @property
    def met(self) -> bool | None:
        """Return whether the bar was reached; None without one."""
        if self.claim is None:
            return None
        if not self.by_median:
            return self.claim.judge(self.ratio) == "holds"
        reached, factor = self.ratio.median, self.claim.factor
        return reached >= factor if self.claim.at_least else reached <= factor


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A question about performance that anyone can put to their own machine."""

    name: str
    question: str
    bar: str
    measure: Callable[[Preset], list[Finding]]

    def run(self, preset: Preset) -> list[Row]:
        """Measure, judge every case, and return the rows."""
        machine_id = identify().id
        return [self._row(finding, machine_id) for finding in self.measure(preset)]

    def _row(self, finding: Finding, machine_id: str) -> Row:
        ratio = finding.ratio
        return Row(
            bench=self.name,
            case=finding.case,
            ratio=round(ratio.median, 4),
            low=round(ratio.low, 4),
            high=round(ratio.high, 4),
            bar=finding.bar,
            met=finding.met,
            ceiling=round(finding.ceiling, 6 if finding.unit == SECONDS else 4),
            unit=finding.unit,
            machine_id=machine_id,
        )
