"""Keep one store's keys: made once, wrapped under the master, one pair of secrets a tenant.

Follows: TiKV's envelope: the master wraps the data key, the data key wraps the tenants' secrets, so
that another master rewrites one small file; a tenant is erased by erasing its secrets.
Leaves out: what they seal (sealing.py).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from dataclasses import replace
from typing import NamedTuple

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.key_table import MAX_TENANTS, KeyTable, Row, unpack
from workbench.tiering.encryption.master_key import MasterKey
from workbench.tiering.encryption.secret import SECRET_BYTES, Secret
from workbench.tiering.encryption.wrapping import unwrap, wrap
from workbench.tiering.ssd_tier.sealing import SealError
from workbench.tiering.ssd_tier.side_file import SideFile
from workbench.tiering.tenant import tenant_tag

_ID_BYTES = _NAME_BYTES = 16
_NO_NAME = bytes(_NAME_BYTES)


class Tenant(NamedTuple):
    """A tenant by name.

    Attributes
    ----------
    tag : bytes[16]   as the frames of its blocks say
    secret : Secret   what its block keys are made with (TieredKVCache's ``tenant``)
    """

    tag: bytes
    secret: Secret


class StoreKeys:
    """The keys of one store, on disk and in memory. Safe between threads."""

    def __init__(self, file: SideFile, table: KeyTable, root: Secret) -> None:
        """Use `load` or `create`."""
        self._file = file
        self._table = table
        self._data, self._names = root.split()
        self._rows = {row.tag: row for row in table.rows}
        self._open: dict[bytes, Secret] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(cls, file: SideFile, master: MasterKey) -> StoreKeys | None:
        """Read a store's keys; None if it has none.

        Raises
        ------
        KeyTableError   if they are damaged, or this is not their master key
        StorageError    if they cannot be read
        """
        raw = file.read()
        if raw is None:
            return None
        table = unpack(raw, file.name)
        if table.master != master.id:
            raise KeyTableError(
                f"{file.name}: the store's master key is {table.master.hex()}, the one given is "
                f"{master.id.hex()}; give the key file that the store was made with, or was last "
                "rotated to"
            )
        return cls(file, table, unwrap(master.wrapping_key(), table.root, *_root_of(table)))

    @classmethod
    def create(cls, file: SideFile, master: MasterKey) -> StoreKeys:
        """Make a store's keys, durably; StorageError if they cannot be written."""
        root = Secret.random(2 * SECRET_BYTES)
        table = KeyTable(os.urandom(_ID_BYTES), master.id, b"")
        table = replace(table, root=wrap(master.wrapping_key(), root, *_root_of(table)))
        file.replace(table.pack())
        return cls(file, table, root)

    @property
    def id(self) -> bytes:
        """Return the keys' id; it stays the same for the store's life."""
        return self._table.id

    def tags(self) -> list[bytes]:
        """Return the tags of all tenants."""
        return list(self._rows)

    # Tenants

    def key(self, tag: bytes) -> Secret:
        """Return the key under which a tenant's blocks are sealed.

        Raises
        ------
        SealError   if there is no such tenant, or it was purged
        """
        found = self._open.get(tag)
        if found is None:
            with self._lock:
                found = self._key(tag)
        return found

    def key_or_new(self, tag: bytes) -> Secret:
        """Return a tenant's key, made durably if it has none; SealError if that fails."""
        found = self._open.get(tag)
        if found is None:
            with self._lock:
                if tag not in self._rows:
                    self._enter(tag, _NO_NAME, Secret.random(2 * SECRET_BYTES))
                found = self._key(tag)
        return found

    def tenant(self, name: str) -> Tenant:
        """Return a tenant by name, made durably if there is none.

        Raises
        ------
        SealError   if it cannot be made
        """
        with self._lock:
            row = self._named(name)
            if row is None:
                secrets = Secret.random(2 * SECRET_BYTES)
                tag = tenant_tag(secrets.split()[1].reveal())
                row = self._enter(tag, self._name(name), secrets)
            return Tenant(row.tag, self._secrets(row).split()[1])

    def find(self, name: str) -> bytes | None:
        """Return a tenant's tag, None if there is no tenant of this name."""
        with self._lock:
            row = self._named(name)
        return None if row is None else row.tag

    # The file

    def purge(self, tag: bytes, master: MasterKey) -> bool:
        """Erase a tenant's secrets; return whether there were any.

        All others are wrapped anew under another data key: once the master is changed too, no
        older copy of the table gives the erased ones back.

        Raises
        ------
        StorageError   if the table cannot be written; nothing has changed then
        """
        with self._lock:
            if tag not in self._rows:
                return False
            data = Secret.random()
            kept = tuple(
                row._replace(wrapped=wrap(data, self._secrets(row), *self._row_of(row)))
                for row in self._rows.values()
                if row.tag != tag
            )
            self._rewrite(data, master, kept)
            return True

    def rotate(self, master: MasterKey) -> None:
        """Wrap the keys under another master; StorageError if that fails, and the old one stays."""
        with self._lock:
            self._rewrite(self._data, master, tuple(self._rows.values()))

    def _rewrite(self, data: Secret, master: MasterKey, rows: tuple[Row, ...]) -> None:
        table = KeyTable(self._table.id, master.id, b"", rows)
        root = wrap(master.wrapping_key(), data.joined(self._names), *_root_of(table))
        table = replace(table, root=root)
        self._file.replace(table.pack())
        self._table, self._data = table, data
        self._rows = {row.tag: row for row in rows}
        self._open.clear()

    def _enter(self, tag: bytes, name: bytes, secrets: Secret) -> Row:
        if len(self._rows) >= MAX_TENANTS:
            raise SealError(f"the store has {MAX_TENANTS} tenants, no more fit; purge some")
        row = Row(tag, name, b"")
        row = row._replace(wrapped=wrap(self._data, secrets, *self._row_of(row)))
        table = replace(self._table, rows=(*self._rows.values(), row))
        try:
            self._file.replace(table.pack())
        except StorageError as error:
            raise SealError(f"a tenant's key cannot be kept: {error}") from error
        self._table = table
        self._rows[tag] = row
        return row

    def _key(self, tag: bytes) -> Secret:
        row = self._rows.get(tag)
        if row is None:
            raise SealError("the block's tenant has no key here: it was purged, or never was")
        found = self._open[tag] = self._secrets(row).split()[0]
        return found

    def _secrets(self, row: Row) -> Secret:
        try:
            return unwrap(self._data, row.wrapped, *self._row_of(row))
        except KeyTableError as error:
            raise SealError(str(error)) from error

    def _named(self, name: str) -> Row | None:
        wanted = self._name(name)
        return next((row for row in self._rows.values() if row.name == wanted), None)

    def _name(self, name: str) -> bytes:
        return hmac.digest(self._names.reveal(), name.encode(), hashlib.sha256)[:_NAME_BYTES]

    def _row_of(self, row: Row) -> tuple[bytes, ...]:
        return (b"tenant", self._table.id, row.tag, row.name)


def _root_of(table: KeyTable) -> tuple[bytes, ...]:
    return (b"root", table.id, table.master)
