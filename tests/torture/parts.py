"""Say what a torture run consists of: parts, each cut into units that stand for themselves.

Follows: a unit begins with a store of its own and seeds of its own, so that a run that was cut off
goes on where it was, and every unit can be run again alone.
Leaves out: carrying them out and adding up (__main__.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.torture import faults, kills, misplaced, power_loss, rot
from tests.torture.history import Verdict
from tests.torture.stores import SMALL, TIGHT, open_sealed
from workbench.tiering.async_io.faults import Kind
from workbench.tiering.async_io.io_uring import UringEngine
from workbench.tiering.async_io.ring import RingRefusedError

_ENGINES = ("synchronous", "threads", "io_uring")
# What one unit does: some seconds of it are lost when a run is interrupted.
_RANDOM_KILLS, _CALL_KILLS, _IMAGES, _FLIPS = 45, 24, 100, 500
_STEPS = 40
# Sealed stores take the same ways: a tenth of the scripts is about their keys and seals.
_SEALED_PART = 10
# Units of one seed never have another seed's.
_UNITS_A_SEED = 1_000_003
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
    """How much of everything.

    Attributes
    ----------
    kill_units : int    for each engine: 45 kills at random moments, 24 at system calls
    image_units : int   scripts, of each 100 images that a power loss may leave
    flip_units : int    each 500 bits of a store's files
    bits_step : int     1: every bit of a block in memory, 4: two of each byte's eight
    cut_every : int     bytes between two places where a file is cut off
    pairs : int         blocks that lie in each other's place, all pairs of them
    fault_seeds : int   scripts for every kind of fault at every kind of call
    """

    kill_units: int
    image_units: int
    flip_units: int
    bits_step: int
    cut_every: int
    pairs: int
    fault_seeds: int


PLANS = {
    "smoke": Plan(1, 50, 3, 4, 2048, 64, 1),
    "full": Plan(10, 2_000, 200, 1, 512, 64, 8),
}


class Part(NamedTuple):
    """One kind of torture: ``run`` answers the verdicts of a unit, by its number from 0 on.

    ``refused`` says why this machine cannot carry it out, or "".
    """

    name: str
    n_units: int
    run: Callable[[int], Iterable[Verdict]]
    refused: Callable[[], str] = str


def parts(plan: Plan, seed: int) -> list[Part]:
    """Return every part of a plan, in the order in which they are carried out."""
    found: list[Part] = []
    for kind in _ENGINES:
        found += _kill_parts(kind, plan, seed)
    found.append(Part("power loss", plan.image_units, lambda unit: _power_loss(seed, unit)))
    n_sealed = max(1, plan.image_units // _SEALED_PART)
    found.append(Part("power loss, sealed", n_sealed, lambda unit: _sealed_loss(seed, unit)))
    found += _rot_parts(plan, seed)
    found += [_fault_part(name, kinds, plan, seed) for name, kinds in _FAULTS]
    return found


def _seed(seed: int, unit: int) -> int:
    return seed * _UNITS_A_SEED + unit


def _kill_parts(kind: str, plan: Plan, seed: int) -> list[Part]:
    def at_random(unit: int, is_sealed: bool = False) -> Iterator[Verdict]:
        with _on_disk() as folder:
            series = kills.Series(Path(folder) / "store", kind, _seed(seed, unit), is_sealed)
            yield from series.random_moments(_RANDOM_KILLS)

    def at_random_sealed(unit: int) -> Iterator[Verdict]:
        return at_random(unit, is_sealed=True)

    def at_calls(unit: int) -> Iterator[Verdict]:
        with _on_disk() as folder:
            series = kills.Series(Path(folder) / "store", kind, _seed(seed, unit))
            yield from series.system_calls(_CALL_KILLS)

    def no_ring() -> str:
        return ring_refused() if kind == "io_uring" else ""

    def no_strace() -> str:
        return no_ring() or ("" if kills.strace_works() else kills.ENABLE_STRACE)

    n = plan.kill_units
    return [
        Part(f"SIGKILL at a random moment, {kind}", n, at_random, no_ring),
        Part(f"SIGKILL at a random moment, sealed, {kind}", n, at_random_sealed, no_ring),
        Part(f"SIGKILL at the N-th system call, {kind}", n, at_calls, no_strace),
    ]


def _on_disk() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is likely to be on a disk, for stores that are killed."""
    disk = "/var/tmp" if Path("/var/tmp").is_dir() else None
    return tempfile.TemporaryDirectory(prefix=".torture-", dir=disk)


def ring_refused() -> str:
    """Return why there is no io_uring here, or ""."""
    try:
        UringEngine(depth=1).close()
    except RingRefusedError as error:
        return str(error)
    return ""


def _power_loss(seed: int, unit: int) -> Iterator[Verdict]:
    config = TIGHT if unit % 4 == 3 else SMALL
    return power_loss.each(_seed(seed, unit), _STEPS, _IMAGES, config)


def _sealed_loss(seed: int, unit: int) -> Iterator[Verdict]:
    config = TIGHT if unit % 4 == 3 else SMALL
    return power_loss.each(_seed(seed, unit), _STEPS, _IMAGES, config, open_sealed)


def _rot_parts(plan: Plan, seed: int) -> list[Part]:
    def flip(unit: int) -> Iterator[Verdict]:
        return _may_miss(rot.random_flips(_seed(seed, unit), _FLIPS))

    return [
        Part("bits of a block in memory", 1, lambda _: rot.every_bit(plan.bits_step)),
        Part("bits of files, reopened", plan.flip_units, flip),
        Part("files cut off", 1, lambda _: _may_miss(rot.truncations(plan.cut_every))),
        *_misplaced_parts(plan.pairs),
    ]


def _misplaced_parts(n_blocks: int) -> list[Part]:
    name = "blocks in each other's place"
    return [
        Part(name, 1, lambda _: misplaced.swapped(n_blocks)),
        Part(f"{name}, sealed", 1, lambda _: misplaced.swapped(n_blocks, open_sealed)),
        Part(f"{name}, sealed, forged", 1, lambda _: misplaced.forged(n_blocks)),
        Part(f"{name}, sealed, index lost", 1, lambda _: misplaced.forged_reopened(n_blocks)),
    ]


def _may_miss(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Leave out what must be found: where damage was done, any miss is right."""
    for verdict in verdicts:
        yield Verdict(0, 0, verdict.wrong)


def _fault_part(name: str, kinds: tuple[Kind, ...], plan: Plan, seed: int) -> Part:
    cases = [case for case in faults.cases() if case.kind in kinds]

    def run(unit: int) -> Iterator[Verdict]:
        round_number, number = divmod(unit, len(cases))
        case = cases[number]
        for outcome in faults.run_case(case, _seed(seed, 1 + round_number)):
            problems = [f"{case.told()}: {problem}" for problem in outcome.problems]
            verdict = outcome.verdict + Verdict(0, 0, problems)
            yield Verdict(0, 0, verdict.wrong) if case.kind in faults.SILENT else verdict

    return Part(name, len(cases) * plan.fault_seeds, run)
