"""Write down which tokens a named session is made of, and find them again after a restart.

Follows: a record is a block of the SSD tier like any other: replaced whole, checksummed, sealed if
the store is, within its bytes. A record that is damaged is a session forgotten, and counted.
Leaves out: keys and values, which are found by the tokens; names cannot be listed.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence

import numpy as np

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.ssd_tier import Attributes, SsdTier
from workbench.tiering.tenant import digest, tenant_tag

_HEAD = struct.Struct("<4sIQ")
_MAGIC, _VERSION = b"text", 1


class SessionBook:
    """The named sessions of one model and tenant. Safe between threads.

    Attributes
    ----------
    n_forgotten : int   records that were there and could not be read
    """

    def __init__(self, ssd: SsdTier, fingerprint: bytes, tenant: bytes) -> None:
        """Use a store; ``tenant`` is the secret that block keys are made with."""
        self._ssd = ssd
        self._fingerprint, self._tenant = fingerprint, tenant
        self._attributes = Attributes(digest(b"session", fingerprint), tenant_tag(tenant))
        self._lock = threading.Lock()
        self.n_forgotten = 0

    def read(self, name: str) -> list[int] | None:
        """Return a session's tokens; None: there is none of that name, or not any more."""
        key = self._key(name)
        try:
            is_there = self._ssd.contains(key)
            (record,) = self._ssd.get_many([key], None, self._attributes)
        except (StorageError, MemoryError):
            is_there, record = True, None
        token_ids = None if record is None else _unpacked(record)
        if is_there and token_ids is None:
            with self._lock:
                self.n_forgotten += 1
        return token_ids

    def write(self, name: str, token_ids: Sequence[int]) -> bool:
        """Keep a session's tokens in place of the earlier ones; return whether it outlives power.

        Cost    4 bytes a token, and a flush.
        """
        ids = np.asarray(token_ids, "<u4")
        record = _HEAD.pack(_MAGIC, _VERSION, len(ids)) + ids.tobytes()
        try:
            return self._ssd.put(self._key(name), record, self._attributes) and self._ssd.flush()
        except (StorageError, MemoryError):
            return False

    def forget(self, name: str) -> bool:
        """Forget a session; return whether there was one."""
        try:
            return self._ssd.delete(self._key(name))
        except (StorageError, MemoryError):
            return False

    def _key(self, name: str) -> bytes:
        return digest(b"session", self._tenant, self._fingerprint, name.encode())


def _unpacked(record: memoryview) -> list[int] | None:
    """Return a record's tokens, None if it is none of ours."""
    if record.nbytes < _HEAD.size:
        return None
    magic, version, n_tokens = _HEAD.unpack_from(record)
    if (magic, version) != (_MAGIC, _VERSION) or record.nbytes != _HEAD.size + 4 * n_tokens:
        return None
    return [int(one) for one in np.frombuffer(record, "<u4", offset=_HEAD.size)]
