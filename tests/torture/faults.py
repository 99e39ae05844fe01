"""Let the N-th call go wrong, for every N, in every way, and see that nothing wrong comes back.

Follows: SQLite's "fail the N-th call until it passes"; TigerBeetle's fault model.
Leaves out: power loss at odd moments (power_loss.py), which each run here ends with once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tests.torture.history import NOTHING, Step, Verdict, judge, perform, random_script
from tests.torture.model import Model, key_of
from tests.torture.stores import SMALL, open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import POSSIBLE, AnyOp, Fault, Faults, Kind
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig

# These report success: what they touch is damaged without a word.
SILENT: tuple[Kind, ...] = ("drop", "misdirect", "flip", "torn")
_SYNCS: tuple[AnyOp, ...] = ("sync", "sync_folder")
_IMAGES = 2
_KEYS = 8


class Case(NamedTuple):
    """One kind of fault that happens to one kind of call."""

    kind: Kind
    op: AnyOp
    number: int = errno.EIO

    def told(self) -> str:
        """Return the case in words."""
        which = f" {errno.errorcode[self.number]}" if self.kind == "error" else ""
        return f"{self.kind}{which} at the N-th {self.op}"


def cases() -> list[Case]:
    """Return every kind of fault with every kind of call that it can happen to."""
    found = [Case(kind, op) for kind, ops in POSSIBLE.items() for op in ops]
    found += [Case("error", "write", errno.ENOSPC), Case("error", "create", errno.ENOSPC)]
    return [*found, Case("error", "write", errno.EFBIG)]


@dataclass(slots=True)
class Outcome:
    """What one run came to: did the fault fire, what was answered, what else was wrong."""

    fired: bool = False
    verdict: Verdict = NOTHING
    problems: list[str] = field(default_factory=list)


def run_case(case: Case, seed: int = 1, n_steps: int = 16) -> Iterator[Outcome]:
    """Yield one outcome for each N, until there is no N-th call any more."""
    nth = 1
    while True:
        fault = Fault(case.kind, op=case.op, nth=nth, number=case.number, seconds=0.2)
        run = _Run(case, Faults([fault], seed), random_script(seed, n_steps, _KEYS))
        outcome = run.outcome()
        if not outcome.fired:
            return
        yield outcome
        nth += 1


class _Run:
    """A script on a store whose device has one fault in it."""

    def __init__(self, case: Case, faults: Faults, script: Sequence[Step]) -> None:
        self._case = case
        self._faults = faults
        self._script = script
        self._clock = VirtualClock()
        self._disk = SimDisk(clock=self._clock)
        self._model = Model()
        self._model.damaged = case.kind in SILENT
        self._engine = FaultIO(self._disk, faults, self._clock)
        self._outcome = Outcome()
        self._seen = (0, 0, 0, 0)
        self._errors = 0
        for number in range(_KEYS):
            self._model[key_of(number)]

    def outcome(self) -> Outcome:
        """Run everything and return what came of it."""
        half = len(self._script) // 2
        if self._session(self._script[:half]):
            self._session(self._script[half:])
        outcome = self._outcome
        outcome.fired = bool(self._faults.injected.total())
        if self._case.kind == "error" and self._errors != self._faults.injected["error"]:
            outcome.problems.append(
                f"{self._faults.injected['error']} errors injected, {self._errors} counted"
            )
        self._faults.clear()
        self._engine.release()
        self._aftermath()
        return outcome

    def _session(self, script: Sequence[Step]) -> bool:
        """Open, run, read everything, close; return whether opening worked."""
        try:
            tier = self._open()
        except StorageError:
            # A typed error, and the next opening goes well or says why not.
            self._errors += self._case.kind == "error"
            return False
        self._seen = (0, 0, 0, 0)
        for step in script:
            start_ns = self._clock.now_ns()
            good = perform(tier, step)
            self._check_time(start_ns, step.verb)
            self._learn(tier, step, good)
            self._read_all(tier)
        tier.close()
        self._model.flushed(good=False)
        self._notice_losses(tier)
        counts = tier.stats().counts
        self._errors += counts.read_errors + counts.write_errors + counts.sync_errors
        self._errors += counts.folder_errors
        # What closing made durable is not told; any of it may be.
        self._model.lost_power()
        return True

    def _open(self) -> SsdTier:
        folder = FaultFolder(self._disk, self._faults)
        return open_small(folder, self._engine, _config(), self._clock)

    def _learn(self, tier: SsdTier, step: Step, good: bool) -> None:
        self._notice_losses(tier)
        if step.verb == "flush":
            self._model.flushed(good)
        elif step.verb == "delete":
            self._model.deleted(key_of(step.number))
        else:
            assert step.value is not None
            self._model.put(key_of(step.number), step.value, good)

    def _notice_losses(self, tier: SsdTier) -> None:
        counts = tier.stats().counts
        now = (
            counts.blocks_evicted,
            counts.blocks_dropped,
            counts.blocks_forgotten,
            counts.misses_failed + counts.misses_late + counts.misses_damaged,
        )
        if now != self._seen:
            self._seen = now
            self._model.forgot()

    def _read_all(self, tier: SsdTier) -> None:
        for number in range(_KEYS):
            start_ns = self._clock.now_ns()
            value = tier.get(key_of(number))
            self._check_time(start_ns, "get")
            self._notice_losses(tier)
            problem = self._model.got(key_of(number), value)
            if problem:
                self._outcome.verdict += Verdict(0, 0, [f"live: {problem}"])

    def _check_time(self, start_ns: int, verb: str) -> None:
        took_s = (self._clock.now_ns() - start_ns) / 1e9
        if took_s > 1.1 * _config().write_deadline_s:
            self._outcome.problems.append(f"{verb} took {took_s:.2f} s")

    def _aftermath(self) -> None:
        """Open what a killed process and a power loss leave, on a device without faults."""
        self._model.lost_power()
        allowed = {key: self._model[key].live for key in self._model.keys()}  # noqa: SIM118
        disks = [self._disk.reopened()]
        if not (self._case.kind == "drop" and self._case.op in _SYNCS):
            # A drive that lies about its flush can lose anything.
            rng = np.random.default_rng(len(self._script))
            disks += self._disk.crash_images(rng, _IMAGES, since=self._disk.position)
        for disk in disks:
            tier = open_small(disk, disk, _config())
            self._outcome.verdict += judge(tier, allowed, may_miss=self._model.damaged)
            report = tier.check()
            if not report.sound and not self._model.damaged:
                self._outcome.problems += report.problems


def _config() -> SsdTierConfig:
    return SMALL


def told(outcome: Outcome) -> str:
    """Return what is wrong with an outcome, or ""."""
    return os.linesep.join([*outcome.problems, *outcome.verdict.wrong])
