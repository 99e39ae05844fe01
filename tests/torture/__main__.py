"""Torture the SSD tier and print what was done to it and what came of it.

Follows: the counts are made by the run, never typed; anything wrong ends with exit code 1, what was
interrupted with 130, and ``--resume`` goes on after the last finished unit.
Leaves out: timing.
"""

from __future__ import annotations

import argparse
import sys
from time import monotonic

from tests.torture.ledger import Count, Ledger
from tests.torture.parts import PLANS, Part, parts
from workbench import paths

_INTERRUPTED = 130
# Between two lines of progress in a log file.
_SILENCE_S = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Run one plan and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    size = parser.add_mutually_exclusive_group(required=True)
    for name, how_long in (("smoke", "3 minutes"), ("full", "two hours")):
        size.add_argument(f"--{name}", action="store_const", dest="plan", const=name, help=how_long)
    parser.add_argument("--seed", type=int, default=0, help="another seed, other moments")
    parser.add_argument("--only", default="", help="parts whose name holds this")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was cut off")
    chosen = parser.parse_args(arguments)
    path = paths.runs() / f"torture-{chosen.plan}-{chosen.seed}.jsonl"
    ledger = Ledger(path, chosen.resume)
    todo = [one for one in parts(PLANS[chosen.plan], chosen.seed) if chosen.only in one.name]
    return _Run(ledger).carry_out(todo)


class _Run:
    """Carries parts out, and prints a row for each."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._told_s = monotonic()

    def carry_out(self, todo: list[Part]) -> int:
        """Return the exit code."""
        _print_row("part", "runs", "must be found", "found", "wrong")
        n_bad = 0
        for part in todo:
            try:
                why = part.refused()
                if not why:
                    self._finish(part)
            except KeyboardInterrupt:
                _print_count(part.name, self._ledger.total(part.name))
                done = f"{self._ledger.n_done(part.name)} of {part.n_units} units"
                print(f"interrupted after {done} of this part; --resume goes on here")
                return _INTERRUPTED
            if why:
                print(f"{part.name:<52} skipped: {why}", flush=True)
                continue
            count = self._ledger.total(part.name)
            _print_count(part.name, count)
            n_bad += count.bad
        print("nothing was wrong" if not n_bad else f"{n_bad} answers were wrong")
        return 1 if n_bad else 0

    def _finish(self, part: Part) -> None:
        for unit in range(part.n_units):
            if not self._ledger.has(part.name, unit):
                self._ledger.add(part.name, unit, Count.of(part.run(unit)))
                self._tell(part, unit + 1)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _tell(self, part: Part, n_done: int) -> None:
        """Say how far a part is: always on a terminal, once in a while in a log file."""
        line = f"{part.name}: {n_done} of {part.n_units} units"
        if sys.stderr.isatty():
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
        elif monotonic() - self._told_s > _SILENCE_S:
            print(line, file=sys.stderr, flush=True)
            self._told_s = monotonic()


def _print_count(name: str, count: Count) -> None:
    _print_row(name, *(f"{number:,}" for number in count[:4]))
    for problem in count.told:
        print(f"    {problem}")


def _print_row(name: str, *cells: str) -> None:
    print(f"{name:<52}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
