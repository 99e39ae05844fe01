"""Hand out keys and nonces for sealing, each pair once.

Follows: nonces counted in memory only, from 0, under a key with a fresh random salt (NIST SP
800-38D, 8.2.1): a restart, a crash or a fork begins another lane, so no counter is ever continued.
Leaves out: a machine that is copied while it runs, memory included: both copies count on alike.
"""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass
from typing import NamedTuple

from workbench.tiering.encryption.cipher import NONCE_BYTES
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.encryption.sub_keys import SALT_BYTES, sub_key
from workbench.tiering.ssd_tier.frame import Header

# Far below what a counter of 64 bits or AES allows: 2^31 blocks of 2 MiB are 2^48 of AES's own.
MAX_USES = 1 << 31
_MAX_LANES = 256
_Which = tuple[Secret, bytes, int, int]


class Use(NamedTuple):
    """One key and one number: what one block is sealed with."""

    key: Secret
    salt: bytes
    counter: int


@dataclass(slots=True)
class _Lane:
    key: Secret
    salt: bytes
    used: int = 0


def nonce_of(counter: int) -> bytes:
    """Return the nonce of a number: four zero bytes, then the number, big-endian."""
    return counter.to_bytes(NONCE_BYTES, "big")


class Lanes:
    """One lane for each tenant and life of a segment that is written to. Safe between threads."""

    def __init__(self, max_uses: int = MAX_USES) -> None:
        self._max_uses = max_uses
        self._lanes: dict[_Which, _Lane] = {}
        self._lock = threading.Lock()
        _all_lanes.add(self)

    def take(self, tenant: Secret, header: Header) -> Use:
        """Return what a block is sealed with, which nothing was sealed with before."""
        which = (tenant, header.store, header.segment, header.epoch)
        with self._lock:
            lane = self._lanes.get(which)
            if lane is None or lane.used >= self._max_uses:
                lane = self._begin(which, header)
            counter = lane.used
            lane.used += 1
        return Use(lane.key, lane.salt, counter)

    def clear(self) -> None:
        """End every lane; the next ones begin with salts of their own."""
        with self._lock:
            self._lanes.clear()

    def _begin(self, which: _Which, header: Header) -> _Lane:
        if len(self._lanes) >= _MAX_LANES:
            self._lanes.clear()
        salt = os.urandom(SALT_BYTES)
        lane = self._lanes[which] = _Lane(sub_key(which[0], header, salt), salt)
        return lane

    def _after_fork(self) -> None:
        """Let the child begin its own lanes; another thread may have held the lock."""
        self._lock = threading.Lock()
        self._lanes = {}


_all_lanes: weakref.WeakSet[Lanes] = weakref.WeakSet()


def _forget_in_child() -> None:
    for lanes in list(_all_lanes):
        lanes._after_fork()


os.register_at_fork(after_in_child=_forget_in_child)
