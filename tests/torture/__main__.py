"""Torture the SSD tier and print what was done to it and what came of it.

Follows: the counts are made by the run, never typed; anything wrong ends with exit code 1.
Leaves out: timing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.torture import faults, kills, power_loss, rot
from tests.torture.history import NOTHING, Verdict
from tests.torture.stores import SMALL, TIGHT
from workbench.tiering.async_io.faults import Kind
from workbench.tiering.async_io.io_uring import UringEngine
from workbench.tiering.async_io.ring import RingRefusedError

_ENGINES = ("synchronous", "threads", "io_uring")
_IMAGES_A_SCRIPT = 100
_STEPS = 40
_WRONG_SHOWN = 5
_FAULTS: tuple[tuple[str, tuple[Kind, ...]], ...] = (
    ("EIO, ENOSPC, EFBIG, failed sync at the N-th call", ("error",)),
    ("short, torn at the N-th call", ("short", "torn")),
    ("hung, stale, late at the N-th call", ("hang", "stale", "delay")),
    ("phantom: acknowledged, not done", ("drop",)),
    ("misdirected at the N-th call", ("misdirect",)),
    ("bit flipped on the way", ("flip",)),
    ("reordered", ("reorder",)),
)


class Plan(NamedTuple):
    """How much of everything; kills are for each engine, faults for each seed."""

    random_kills: int
    call_kills: int
    images: int
    bits_step: int
    flips: int
    cut_every: int
    pairs: int
    fault_seeds: int


SMOKE = Plan(45, 24, 5_000, 4, 1_500, 2048, 64, 1)
FULL = Plan(450, 240, 200_000, 1, 100_000, 512, 64, 8)


class Table:
    """Prints a row a part, and remembers whether anything was wrong."""

    def __init__(self) -> None:
        self.wrong = 0
        self._print("part", "runs", "must be found", "found", "wrong")

    def run(self, name: str, verdicts: Iterator[Verdict]) -> None:
        """Carry one part out, with a line of progress where a terminal can show it."""
        n, total = 0, NOTHING
        for verdict in verdicts:
            n, total = n + 1, total + verdict
            if sys.stderr.isatty() and n % 20 == 0:
                print(f"\r{name}: {n}", end="", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        self.row(name, n, total)

    def row(self, name: str, n: int, total: Verdict) -> None:
        """Print what a part came to."""
        self.wrong += len(total.wrong) + total.expected - total.found
        numbers = (n, total.expected, total.found, len(total.wrong))
        self._print(name, *(f"{number:,}" for number in numbers))
        for problem in total.wrong[:_WRONG_SHOWN]:
            print(f"    {problem}")

    def skip(self, name: str, why: str) -> None:
        """Say that a part was not carried out, and what it needs."""
        print(f"{name:<52} skipped: {why}", flush=True)

    def _print(self, name: str, *cells: str) -> None:
        print(f"{name:<52}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run one plan and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--smoke", action="store_const", dest="plan", const=SMOKE, help="3 minutes")
    size.add_argument("--full", action="store_const", dest="plan", const=FULL, help="an hour")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other moments")
    parser.add_argument("--only", default="", help="parts whose name holds this")
    chosen = parser.parse_args(arguments)
    table = Table()
    for name, part in _parts(chosen.plan, chosen.seed):
        if chosen.only in name:
            part(table)
    print("nothing was wrong" if not table.wrong else f"{table.wrong} answers were wrong")
    return 1 if table.wrong else 0


def _parts(plan: Plan, seed: int) -> Iterator[tuple[str, Callable[[Table], None]]]:
    for kind in _ENGINES:
        yield f"kills, {kind}", lambda table, kind=kind: _kill(table, plan, kind, seed)
    yield "power loss", lambda table: table.run("power loss", _power_losses(plan, seed))
    yield "rot", lambda table: _rot(table, plan, seed)
    for name, kinds in _FAULTS:
        yield (
            name,
            lambda table, name=name, kinds=kinds: table.run(name, _faulty(kinds, plan, seed)),
        )


def _kill(table: Table, plan: Plan, kind: str, seed: int) -> None:
    names = (f"SIGKILL at a random moment, {kind}", f"SIGKILL at the N-th system call, {kind}")
    if kind == "io_uring" and (why := _ring_refused()):
        for name in names:
            table.skip(name, why)
        return
    with tempfile.TemporaryDirectory(prefix=".torture-", dir=_disk()) as folder:
        series = kills.Series(Path(folder) / "store", kind, seed)
        table.run(names[0], series.random_moments(plan.random_kills))
        if not kills.strace_works():
            table.skip(names[1], kills.ENABLE_STRACE)
            return
        table.run(names[1], series.system_calls(plan.call_kills))


def _disk() -> str | None:
    """Return a folder that is likely to be on a disk, for stores that are killed."""
    return "/var/tmp" if Path("/var/tmp").is_dir() else None


def _ring_refused() -> str:
    try:
        UringEngine(depth=1).close()
    except RingRefusedError as error:
        return str(error)
    return ""


def _power_losses(plan: Plan, seed: int) -> Iterator[Verdict]:
    scripts = plan.images // _IMAGES_A_SCRIPT
    for number in range(scripts):
        config = TIGHT if number % 4 == 3 else SMALL
        yield from power_loss.each(seed + number, _STEPS, _IMAGES_A_SCRIPT, config)


def _rot(table: Table, plan: Plan, seed: int) -> None:
    n_bits, unseen = rot.every_bit(plan.bits_step)
    table.row("bits of a block in memory", n_bits, Verdict(0, 0, ["unseen"] * unseen))
    table.run("bits of files, reopened", _may_miss(rot.random_flips(seed, plan.flips)))
    table.run("files cut off", _may_miss(rot.truncations(plan.cut_every)))
    table.run("blocks in each other's place", rot.misdirected_pairs(plan.pairs))


def _may_miss(verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    """Leave out what must be found: where damage was done, any miss is right."""
    for verdict in verdicts:
        yield Verdict(0, 0, verdict.wrong)


def _faulty(kinds: tuple[Kind, ...], plan: Plan, seed: int) -> Iterator[Verdict]:
    for case in faults.cases():
        if case.kind not in kinds:
            continue
        for number in range(1, plan.fault_seeds + 1):
            for outcome in faults.run_case(case, seed + number):
                problems = [f"{case.told()}: {problem}" for problem in outcome.problems]
                verdict = outcome.verdict + Verdict(0, 0, problems)
                silent = case.kind in faults.SILENT
                yield Verdict(0, 0, verdict.wrong) if silent else verdict


if __name__ == "__main__":
    sys.exit(main())
