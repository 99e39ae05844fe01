"""Turn a store's wrapped keys into the bytes of a small file, twice over, and back.

Follows: two copies, each with its sum: one may rot. All of it may be read by anybody: names of
tenants are in it as keyed sums, keys are wrapped.
Leaves out: wrapping (store_keys.py), writing (ssd_tier/side_file.py).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import NamedTuple

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.secret import SECRET_BYTES
from workbench.tiering.encryption.wrapping import WRAPPING_BYTES

MAGIC = b"WBKEYS\0\0"
VERSION = 1
# Bounds the file to 272 KiB, and what opening one reads.
MAX_TENANTS = 1024
_PAIR_BYTES = 2 * SECRET_BYTES + WRAPPING_BYTES
HEADER = struct.Struct(f"<8sII16s8s{_PAIR_BYTES}s")
ROW = struct.Struct(f"<16s16s{_PAIR_BYTES}s4x")
_SUM_BYTES = 32


class Row(NamedTuple):
    """One tenant: its tag in frames, the keyed sum of its name (or zeros), its wrapped secrets."""

    tag: bytes
    name: bytes
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class KeyTable:
    """What is stored.

    Attributes
    ----------
    id : bytes[16]       the keys' id, which segments name
    master : bytes[8]    id of the master key that unwraps ``root``
    root : bytes         the store's two secrets, wrapped
    rows : tuple of Row  its tenants
    """

    id: bytes
    master: bytes
    root: bytes
    rows: tuple[Row, ...] = ()

    def pack(self) -> bytes:
        """Return both copies, one behind the other, each whole pages."""
        head = HEADER.pack(MAGIC, VERSION, len(self.rows), self.id, self.master, self.root)
        body = head + b"".join(ROW.pack(*row) for row in self.rows)
        copy = body + hashlib.sha256(body).digest()
        copy = copy.ljust(-(-len(copy) // PAGE_BYTES) * PAGE_BYTES, b"\0")
        return 2 * copy


def unpack(raw: memoryview, file: str) -> KeyTable:
    """Read a table from the first whole copy.

    Raises
    ------
    KeyTableError   if neither is whole, or it is of another version
    """
    half = raw.nbytes // 2
    for copy in (raw, raw[half:]):
        body = _whole(copy)
        if body is not None:
            return _table(body, file)
    raise KeyTableError(
        f"{file}: the table of keys is damaged, both copies of it; restore it from a copy of the "
        "folder, or remove the folder to start with an empty store"
    )


def _whole(copy: memoryview) -> bytes | None:
    if copy.nbytes < HEADER.size + _SUM_BYTES:
        return None
    magic, _, n_rows, *_ = HEADER.unpack_from(copy)
    length = HEADER.size + n_rows * ROW.size
    if magic != MAGIC or n_rows > MAX_TENANTS or length + _SUM_BYTES > copy.nbytes:
        return None
    body = bytes(copy[:length])
    is_whole = hashlib.sha256(body).digest() == copy[length : length + _SUM_BYTES]
    return body if is_whole else None


def _table(body: bytes, file: str) -> KeyTable:
    _, version, _, keys_id, master, root = HEADER.unpack_from(body)
    if version != VERSION:
        raise KeyTableError(
            f"{file}: version {version} of the table of keys, this workbench reads {VERSION}; use "
            "the version that wrote it"
        )
    rows = tuple(Row(*fields) for fields in ROW.iter_unpack(body[HEADER.size :]))
    return KeyTable(keys_id, master, root, rows)
