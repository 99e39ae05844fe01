"""Derive the key under which the blocks of one tenant in one life of a segment are sealed.

Follows: a random salt for each file and opening, so that no stored counter need be trusted after a
crash, a rollback or a copied folder.
Leaves out: counting nonces (lanes.py).
"""

from __future__ import annotations

import struct
import threading

from workbench.tiering.encryption.derivation import derive
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.ssd_tier.frame import Header

SALT_BYTES = 32
_MAX_KEPT = 1024
_PLACE = struct.Struct("<IQ")


def sub_key(tenant: Secret, header: Header, salt: bytes) -> Secret:
    """Return the key of a tenant's blocks in the header's store, segment and epoch."""
    place = _PLACE.pack(header.segment, header.epoch)
    return derive(tenant, salt, b"frames 1", header.store, header.tenant, place)


class SubKeys:
    """The keys that blocks are opened with, kept from one block to the next. Safe between threads.

    A key costs 30 us; a thousand of them are kept, and all given up when there are more.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Secret, bytes, int, int, bytes], Secret] = {}
        self._lock = threading.Lock()

    def get(self, tenant: Secret, header: Header, salt: bytes) -> Secret:
        """Return the key of a block that lies where its header says."""
        which = (tenant, header.store, header.segment, header.epoch, salt)
        found = self._kept.get(which)
        if found is None:
            found = sub_key(tenant, header, salt)
            with self._lock:
                if len(self._kept) >= _MAX_KEPT:
                    self._kept.clear()
                self._kept[which] = found
        return found

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._kept.clear()
