"""Decide which call goes wrong, and how: the N-th one, or one by chance, from a seed.

Follows: SQLite's "fail the N-th call until it passes"; RocksDB's random faults at stated odds.
Leaves out: doing the damage (fault_io.py).
"""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.errors import UsageError
from workbench.tiering.async_io.engine import Op

FolderOp = Literal["open", "create", "replace", "remove", "sync_folder"]
AnyOp = Op | FolderOp
Kind = Literal[
    "error", "short", "torn", "delay", "reorder", "drop", "misdirect", "flip", "hang", "stale"
]

_BLOCKS: tuple[AnyOp, ...] = ("read", "write")
_REQUESTS: tuple[AnyOp, ...] = ("read", "write", "sync")
_NAMES: tuple[AnyOp, ...] = ("open", "create", "replace", "remove", "sync_folder")

# What each kind can happen to.
POSSIBLE: dict[Kind, tuple[AnyOp, ...]] = {
    "error": (*_REQUESTS, *_NAMES),
    "short": _BLOCKS,
    "torn": ("write",),
    "delay": _REQUESTS,
    "reorder": _REQUESTS,
    "drop": ("write", "sync", "sync_folder"),
    "misdirect": _BLOCKS,
    "flip": _BLOCKS,
    "hang": _REQUESTS,
    "stale": _REQUESTS,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule: what goes wrong, for which calls, how often.

    Attributes
    ----------
    kind : str
        error       the call fails with ``number`` and does nothing
        short       ``keep_bytes`` move, then the request fails
        torn        ``keep_bytes`` are written, yet the write is acknowledged
        delay       the answer takes ``seconds`` longer
        reorder     the batch reaches the device in another order
        drop        acknowledged, not done (a phantom write; a drive that lies about its flush)
        misdirect   the blocks ``shift_bytes`` further on are moved instead; None: one request on
        flip        bit ``bit`` of the content changes on the way
        hang        no answer until `FaultIO.release`, which carries the request out, late or not
        stale       no answer by the deadline; carried out at the beginning of the next batch
    op : str or None       only these calls; None: every one that the kind can happen to
    name : str             only files of this name; "": any
    nth : int              the N-th such call, from 1; 0: by ``chance`` instead
    chance : float         0..1, for every such call
    times : int or None    firings: how many calls from the N-th on, or how many by chance at most;
                           None: one, or no limit by chance
    number : int           errno
    keep_bytes : int       -1: a random number of 512-byte sectors, less than all
    bit : int              -1: a random one
    """

    kind: Kind
    op: AnyOp | None = None
    name: str = ""
    nth: int = 0
    chance: float = 0.0
    times: int | None = None
    number: int = errno.EIO
    keep_bytes: int = -1
    shift_bytes: int | None = None
    seconds: float = 0.0
    bit: int = -1

    def __post_init__(self) -> None:
        if self.kind not in POSSIBLE or (self.op and self.op not in POSSIBLE[self.kind]):
            raise UsageError(f"{self.kind!r} cannot happen to {self.op!r}; {POSSIBLE}")
        if (self.nth > 0) == (self.chance > 0):
            raise UsageError(f"{self}: give either nth (from 1) or chance (above 0)")

    def concerns(self, op: AnyOp, name: str) -> bool:
        """Return whether a call is one of those this rule is about."""
        return (
            op in POSSIBLE[self.kind]
            and (self.op is None or self.op == op)
            and (not self.name or self.name == name)
        )


class Faults:
    """The rules of one run, their counters and their random numbers; safe from several threads.

    Attributes
    ----------
    calls : Counter      calls seen so far, by operation
    injected : Counter   faults that fired, by kind
    """

    def __init__(self, rules: Sequence[Fault] = (), seed: int = 0) -> None:
        self._rules = list(rules)
        self._seen = [0] * len(self._rules)
        self._fired = [0] * len(self._rules)
        self._rng = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()

    def add(self, rule: Fault) -> None:
        """Add a rule; its calls are counted from now on."""
        with self._lock:
            self._rules.append(rule)
            self._seen.append(0)
            self._fired.append(0)

    def clear(self) -> None:
        """Let everything go well from now on; the counters stay."""
        with self._lock:
            self._rules, self._seen, self._fired = [], [], []

    def decide(self, op: AnyOp, name: str) -> Fault | None:
        """Count a call and return the first rule that fires for it, or None."""
        with self._lock:
            self.calls[op] += 1
            chosen = None
            for number, rule in enumerate(self._rules):
                if not rule.concerns(op, name):
                    continue
                self._seen[number] += 1
                if chosen is None and self._fires(number, rule):
                    self._fired[number] += 1
                    chosen = rule
            if chosen is not None:
                self.injected[chosen.kind] += 1
            return chosen

    def _fires(self, number: int, rule: Fault) -> bool:
        if rule.nth:
            times = 1 if rule.times is None else rule.times
            return rule.nth <= self._seen[number] < rule.nth + times
        within = rule.times is None or self._fired[number] < rule.times
        return within and bool(self._rng.random() < rule.chance)

    def pick(self, n: int) -> int:
        """Return a random number from 0 to ``n - 1``; 0 if there is none."""
        with self._lock:
            return int(self._rng.integers(0, n)) if n > 0 else 0

    def shuffled(self, n: int) -> list[int]:
        """Return 0 to ``n - 1`` in random order."""
        with self._lock:
            return [int(number) for number in self._rng.permutation(n)]
