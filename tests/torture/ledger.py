"""Keep the counts of every finished unit in a file, so that a run that was cut off can go on.

Follows: a log that is only appended to; a last line that was cut off is a unit that was not done.
Leaves out: noticing that the code under test has changed in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.torture.history import NOTHING, Verdict

# So many answers that were wrong are kept in words; all are counted.
_WRONG_TOLD = 5


class Count(NamedTuple):
    """What some units came to: runs, keys that had to be found, those found, wrong answers."""

    runs: int = 0
    expected: int = 0
    found: int = 0
    wrong: int = 0
    told: tuple[str, ...] = ()

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Count:
        """Add verdicts up."""
        n, total = 0, NOTHING
        for verdict in verdicts:
            n, total = n + 1, total + verdict
        told = tuple(total.wrong[:_WRONG_TOLD])
        return cls(n, total.expected, total.found, len(total.wrong), told)

    def plus(self, other: Count) -> Count:
        """Return both together."""
        numbers = (one + two for one, two in zip(self[:4], other[:4], strict=True))
        return Count(*numbers, (self.told + other.told)[:_WRONG_TOLD])

    @property
    def bad(self) -> int:
        """Return how many answers were wrong, or missing though they had to be there."""
        return self.wrong + self.expected - self.found


class Ledger:
    """The finished units of one run."""

    def __init__(self, path: Path, resume: bool) -> None:
        """Begin a new file, or read what is in the one that is there."""
        self._path = path
        self._counts: dict[str, dict[int, Count]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume or not path.exists():
            path.write_text("")
        whole = path.read_bytes().rpartition(b"\n")[0]
        for line in whole.splitlines():
            part, unit, *numbers, told = json.loads(line)
            self._counts.setdefault(part, {})[unit] = Count(*numbers, tuple(told))
        path.write_bytes(whole + b"\n" * bool(whole))

    def add(self, part: str, unit: int, count: Count) -> None:
        """Note that a unit is done."""
        self._counts.setdefault(part, {})[unit] = count
        with self._path.open("a") as file:
            file.write(json.dumps([part, unit, *count]) + "\n")

    def has(self, part: str, unit: int) -> bool:
        """Return whether a unit is done."""
        return unit in self._counts.get(part, {})

    def n_done(self, part: str) -> int:
        """Return how many units of a part are done."""
        return len(self._counts.get(part, {}))

    def total(self, part: str) -> Count:
        """Return what a part has come to so far."""
        total = Count()
        for count in self._counts.get(part, {}).values():
            total = total.plus(count)
        return total
