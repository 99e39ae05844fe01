"""The rows of `workbench bench` as the index page shows them: the latest of every case.

Follows: one JSON line a row, appended to papermill_runs/bench/<name>.jsonl.
Leaves out: running benchmarks (workbench/benchmark/bars.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.report.numbers import MISSING, claim_text, quantity
from workbench.report.status import Status

_MET = Status("✓", "met", "good")
_MISSED = Status("✗", "missed", "bad")


class BenchRow(BaseModel):
    """One measured case; ``bar`` and ``met`` are None where the case only informs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bench: str
    case: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    bar: str | None = None
    met: bool | None = None
    ceiling: float | None = None
    unit: str = ""
    machine_id: str = ""

    @property
    def status(self) -> Status | None:
        """Return whether the bar was met, in words; None without a bar."""
        return None if self.met is None else _MET if self.met else _MISSED

    @property
    def interval(self) -> str:
        """Return the ratio's interval, or nothing."""
        if self.low is None or self.high is None:
            return ""
        return f"{quantity(self.low, 'x')} to {quantity(self.high, 'x')}"

    @property
    def bar_text(self) -> str:
        """Return what the ratio must reach."""
        return claim_text(self.bar) if self.bar is not None else MISSING


@dataclass(frozen=True, slots=True)
class BenchTable:
    """The latest row of every case and machine, and what could not be read."""

    rows: tuple[BenchRow, ...]
    problems: tuple[str, ...]


def read_benches(folder: Path) -> BenchTable:
    """Read every .jsonl file of a folder; a later line of the same case and machine counts."""
    latest: dict[tuple[str, str, str], BenchRow] = {}
    problems = []
    for path in sorted(folder.glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = BenchRow.model_validate_json(line)
            except ValidationError as error:
                problems.append(f"{path.name} line {number}: {error.errors()[0]['msg']}")
                continue
            latest[row.bench, row.case, row.machine_id] = row
    return BenchTable(tuple(latest.values()), tuple(problems))
