"""Run a script of operations on a store, remembering what was promised when.

Follows: RocksDB's expected state: after a crash each key has its last durable state or one that was
under way since.
Leaves out: the crash itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tests.torture.model import Value, key_of, value_of
from workbench.tiering.ssd_tier import SsdTier

Verb = Literal["put", "delete", "flush"]
LENGTHS = (0, 1, 700, 4095, 4096, 4097, 9000, 16384)


class Step(NamedTuple):
    """One operation; ``number`` names the key, ``version`` makes its value unique."""

    verb: Verb
    number: int = 0
    version: int = 0
    n_bytes: int = 0

    @property
    def value(self) -> Value:
        """Return what the key holds afterwards."""
        return value_of(self.number, self.version, self.n_bytes) if self.verb == "put" else None


def random_script(seed: int, n_steps: int, n_keys: int = 8) -> list[Step]:
    """Return a script of puts, deletes and flushes."""
    rng = random.Random(seed)
    steps = []
    for version in range(1, n_steps + 1):
        verb: Verb = rng.choices(("put", "delete", "flush"), (7, 1, 2))[0]
        steps.append(Step(verb, rng.randrange(n_keys), version, rng.choice(LENGTHS)))
    return steps


@dataclass(slots=True)
class _Change:
    begin: int
    end: int
    value: Value
    good: bool


@dataclass(slots=True)
class History:
    """What was done between which positions; positions only have to grow.

    Attributes
    ----------
    changes : dict     key -> its puts and deletes, oldest first
    flushes : list     (begin, end) of the good ones
    evictions : list   positions at which something began to be evicted
    """

    changes: dict[bytes, list[_Change]] = field(default_factory=dict)
    flushes: list[tuple[int, int]] = field(default_factory=list)
    evictions: list[int] = field(default_factory=list)

    def run(
        self,
        tier: SsdTier,
        script: Sequence[Step],
        position: Callable[[], int],
        after_each: Callable[[SsdTier, Step], None] = lambda tier, step: None,
    ) -> None:
        """Carry the script out, noting the position before and after each step."""
        evicted = tier.stats().counts.blocks_evicted
        for step in script:
            begin = position()
            good = perform(tier, step)
            self.note(step, begin, position(), good)
            now = tier.stats().counts
            if now.blocks_evicted + now.blocks_dropped != evicted:
                evicted = now.blocks_evicted + now.blocks_dropped
                self.evictions.append(begin)
            after_each(tier, step)

    def note(self, step: Step, begin: int, end: int, good: bool) -> None:
        """Remember one step; of one that never returned, ``end`` lies beyond all positions."""
        if step.verb == "flush":
            if good:
                self.flushes.append((begin, end))
        else:
            change = _Change(begin, end, step.value, good)
            self.changes.setdefault(key_of(step.number), []).append(change)

    def after_power_loss(self, position: int) -> dict[bytes, set[Value]]:
        """Return what each key may hold if unsynced writes before a position may be missing."""
        flushed = max((begin for begin, end in self.flushes if end <= position), default=-1)
        evicted = any(begin < position for begin in self.evictions)
        answers = {}
        for key, changes in self.changes.items():
            done = [change.value for change in changes if change.end <= flushed and change.good]
            allowed: set[Value] = {done[-1] if done else None}
            # What failed before the flush was made sure of by it: it never happened.
            allowed |= {c.value for c in changes if c.begin < position and c.end > flushed}
            answers[key] = allowed | ({None} if evicted else set())
        return answers


def perform(tier: SsdTier, step: Step) -> bool:
    """Carry out one step; return whether it did what it says."""
    if step.verb == "flush":
        return tier.flush()
    if step.verb == "delete":
        tier.delete(key_of(step.number))
        return True
    value = step.value
    assert value is not None
    return tier.put(key_of(step.number), value)


class Verdict(NamedTuple):
    """How a store answered: keys it had to have and had, and answers that were not allowed."""

    expected: int
    found: int
    wrong: list[str]

    def __add__(self, other: object) -> Verdict:
        """Return both together."""
        assert isinstance(other, Verdict)
        return Verdict(
            self.expected + other.expected, self.found + other.found, self.wrong + other.wrong
        )


NOTHING = Verdict(0, 0, [])


def judge(tier: SsdTier, allowed: dict[bytes, set[Value]], may_miss: bool = False) -> Verdict:
    """Read every key and compare.

    Parameters
    ----------
    may_miss : bool   damage was done: any miss is right, wrong bytes never are
    """
    expected = found = 0
    wrong = []
    for key, values in allowed.items():
        value = tier.get(key)
        expected += None not in values
        found += None not in values and value is not None
        if value not in values and not (value is None and may_miss):
            told = "a miss" if value is None else repr(value[:12])
            wrong.append(f"key {key[:4].hex()}: {told}, allowed {[v and v[:12] for v in values]}")
    return Verdict(expected, found, wrong)
