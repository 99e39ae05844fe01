"""Seal a store's blocks: encrypted under their tenant's key, bound to their header.

Follows: what the header says of a block (store, place, epoch, sequence, key, model, tenant, codec,
lengths) is authenticated with it, so no frame opens in another's place or name; only its sum and
the tag itself stand outside. A tenant without a key is a miss.
Leaves out: metadata: keys, lengths and the order of writing can be read without any key. A copy of
the whole folder that is put back is an older state, not a forged one (`pin` recognises it).
"""

from __future__ import annotations

import hashlib
import os
import struct

from workbench.tiering.encryption.cipher import TAG_BYTES, decrypt, encrypt, wipe
from workbench.tiering.encryption.derivation import derive
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.lanes import Lanes, nonce_of
from workbench.tiering.encryption.master_key import MasterKey
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.encryption.store_keys import StoreKeys, Tenant
from workbench.tiering.encryption.sub_keys import SALT_BYTES, SubKeys
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.frame import CONTENT_BYTES, SEAL_BYTES, Header, bound_fields
from workbench.tiering.ssd_tier.sealing import SealError
from workbench.tiering.ssd_tier.side_file import SideFile

_SEAL = struct.Struct(f"<{SALT_BYTES}sQ{TAG_BYTES}s")
_LANE = struct.Struct(f"<{SALT_BYTES}sQ")

assert _SEAL.size == SEAL_BYTES


class StoreSealing:
    """What one store is opened with (`SsdTier.open(sealing=)`); answers `ssd_tier.Sealing`."""

    def __init__(self, master: MasterKey) -> None:
        """Keep the master key; the store's own keys come with `unlock`."""
        self._master = master
        self._keys: StoreKeys | None = None
        self._pid = os.getpid()
        self._lanes = Lanes()
        self._sub_keys = SubKeys()
        self._mark_keys: dict[Secret, Secret] = {}

    # For the store

    def unlock(self, file: SideFile, sealed_as: bytes | None) -> bytes:
        """Load or make the store's keys, as ssd_tier/sealing.py asks.

        Raises
        ------
        KeyTableError   if they are missing, damaged, another store's or under another master, or
                        another store is open with this sealing
        """
        if self._keys is not None:
            raise KeyTableError(
                "a store is open with this sealing already; make another one for each store"
            )
        keys = StoreKeys.load(file, self._master)
        if keys is None and sealed_as is not None:
            raise KeyTableError(
                f"{file.name}: the store's table of keys is missing; restore it from a copy of the "
                "folder: without it nothing in the store can be read. Or remove the folder to "
                "start with an empty store"
            )
        keys = keys or StoreKeys.create(file, self._master)
        if sealed_as not in (None, keys.id):
            raise KeyTableError(
                f"{file.name}: the table of keys is another store's; put back the one that belongs "
                "to this folder"
            )
        self._keys, self._pid = keys, os.getpid()
        self._forget()
        return keys.id

    def mark(self, tenant: bytes, key: bytes, plain: memoryview) -> bytes:
        """Return 16 bytes that recognise a block's plain bytes, to those with the keys only."""
        secret = self.keys.key_or_new(tenant)
        mark_key = self._mark_keys.get(secret)
        if mark_key is None:
            mark_key = self._mark_keys[secret] = derive(secret, b"", b"content marks")
        said = hashlib.blake2b(key, digest_size=CONTENT_BYTES, key=mark_key.reveal())
        said.update(payload_sum(plain))
        return said.digest()

    def seal(self, header: Header, plain: memoryview, into: memoryview) -> bytes:
        """Encrypt a block and return what its header keeps of that: salt, counter, tag."""
        use = self._lanes.take(self.keys.key(header.tenant), header)
        bound = _bound(header, use.salt, use.counter)
        tag = encrypt(use.key, nonce_of(use.counter), bound, plain, into)
        return _SEAL.pack(use.salt, use.counter, tag)

    def open(self, header: Header, payload: memoryview) -> None:
        """Decrypt a block in place; after a SealError it is zeros."""
        salt, counter, tag = _SEAL.unpack(header.seal)
        try:
            key = self._sub_keys.get(self.keys.key(header.tenant), header, salt)
        except SealError:
            wipe(payload)
            raise
        decrypt(key, nonce_of(counter), _bound(header, salt, counter), tag, payload)

    def close(self) -> None:
        """Let go of the store's keys: without its lock they must not be written."""
        self._keys = None
        self._forget()

    # For its users

    @property
    def keys(self) -> StoreKeys:
        """Return the store's keys; SealError while no store is open with them, and after a fork."""
        keys = self._keys
        if keys is None:
            raise SealError("no store is open with this sealing; open one first")
        if os.getpid() != self._pid:
            # The child has not the store's lock: two processes must not write its keys.
            raise SealError("the store was opened before a fork; open another one in this process")
        return keys

    def tenant(self, name: str) -> Tenant:
        """Return a tenant by name, made if there is none; SealError if it cannot be made."""
        return self.keys.tenant(name)

    def purge(self, name: str) -> bool:
        """Erase a tenant's keys: nothing it stored can be read again; False if there is none.

        Raises
        ------
        StorageError   if the table of keys cannot be written; nothing has changed then
        """
        tag = self.keys.find(name)
        is_purged = tag is not None and self.keys.purge(tag, self._master)
        self._forget()
        return is_purged

    def rotate(self, master: MasterKey) -> None:
        """Let another master key open the store from now on; no block is rewritten.

        Raises
        ------
        StorageError   if the table of keys cannot be written; the old one is in force then
        """
        self.keys.rotate(master)
        self._master = master

    def _forget(self) -> None:
        self._lanes.clear()
        self._sub_keys.clear()
        self._mark_keys = {}


def _bound(header: Header, salt: bytes, counter: int) -> bytes:
    """Return what is authenticated: fields of fixed width, 216 bytes in all."""
    return bound_fields(header) + header.content + _LANE.pack(salt, counter)
