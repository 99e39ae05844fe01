"""Know which answers a store may give for each key, whatever has happened to it.

Follows: RocksDB's expected state with pending operations; per key the set of allowed values.
Leaves out: how anything is stored; None stands for a miss.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

Value = bytes | None


def key_of(number: int) -> bytes:
    """Return the 32-byte key of a small number."""
    return number.to_bytes(4, "big") * 8


def value_of(number: int, version: int, n_bytes: int) -> bytes:
    """Return bytes that no other key and no other version has."""
    told = b"%d:%d:" % (number, version)
    return (told + random.Random(hash((number, version))).randbytes(n_bytes))[:n_bytes]


@dataclass(slots=True)
class Allowed:
    """The answers that one key may have.

    Attributes
    ----------
    live : set        to the running process
    durable : set     after a power loss right after the last good flush
    pending : list    states since then, each of which a power loss may leave or lose
    """

    live: set[Value] = field(default_factory=lambda: {None})
    durable: set[Value] = field(default_factory=lambda: {None})
    pending: list[Value] = field(default_factory=list)

    def after_power_loss(self) -> set[Value]:
        """Return what may be found when unsynced writes may be missing."""
        return self.durable | set(self.pending)


class Model:
    """A dict that remembers what may have become of each entry."""

    def __init__(self) -> None:
        self._keys: dict[bytes, Allowed] = {}
        self.damaged = False

    def __getitem__(self, key: bytes) -> Allowed:
        return self._keys.setdefault(key, Allowed())

    def keys(self) -> list[bytes]:
        """Return every key that was ever spoken of."""
        return list(self._keys)

    def put(self, key: bytes, value: bytes, stored: bool) -> None:
        """A put returned; one that failed is invisible, but may surface after a crash."""
        allowed = self[key]
        allowed.pending.append(value)
        if stored:
            allowed.live = {value}

    def deleted(self, key: bytes) -> None:
        """A delete returned."""
        allowed = self[key]
        allowed.pending.append(None)
        allowed.live = {None}

    def got(self, key: bytes, value: Value) -> str:
        """A get returned; return what is wrong with it, or ""."""
        allowed = self[key].live
        if value in allowed or (value is None and self.damaged):
            return ""
        return f"key {key[:4].hex()}: got {_told(value)}, allowed {sorted(map(_told, allowed))}"

    def flushed(self, good: bool) -> None:
        """A flush returned."""
        for allowed in self._keys.values():
            if good:
                allowed.durable, allowed.pending = set(allowed.live), []
            elif allowed.pending:
                # A failed sync drops what was written since the last good one.
                allowed.live.add(None)

    def forgot(self) -> None:
        """Anything may have been given up: for room, for a failed sync, for a block not loaded."""
        for allowed in self._keys.values():
            allowed.live.add(None)
            allowed.durable.add(None)

    def killed(self) -> None:
        """The process ended without a word; what it wrote is still there."""
        if self.damaged:
            self.lost_power()

    def lost_power(self) -> None:
        """The machine went off."""
        for allowed in self._keys.values():
            allowed.live = allowed.after_power_loss()

    def reopened(self, answers: Iterable[tuple[bytes, Value]]) -> None:
        """After a restart every key was read: what was found is what there is, durably."""
        for key, value in answers:
            allowed = self[key]
            if value is not None or not self.damaged:
                allowed.live = {value}
            allowed.durable, allowed.pending = set(allowed.live), []


def _told(value: Value) -> str:
    return "a miss" if value is None else f"{value[:12]!r} ({len(value)} bytes)"
