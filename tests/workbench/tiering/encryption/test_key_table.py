"""The table of keys: its bytes, both copies, and refusal of every damaged one."""

import hashlib
import struct

import pytest

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.key_table import MAX_TENANTS, KeyTable, Row, unpack

ROW = Row(b"t" * 16, b"n" * 16, b"w" * 92)
TABLE = KeyTable(b"i" * 16, b"m" * 8, b"r" * 92, (ROW, ROW._replace(tag=b"u" * 16)))


def read(raw: bytes) -> KeyTable:
    return unpack(memoryview(raw), "keys")


def test_the_layout_is_the_one_on_disk():
    body = b"WBKEYS\0\0" + struct.pack("<II", 1, 2) + b"i" * 16 + b"m" * 8 + b"r" * 92
    body += b"t" * 16 + b"n" * 16 + b"w" * 92 + bytes(4) + b"u" * 16 + b"n" * 16 + b"w" * 92
    body += bytes(4)
    copy = (body + hashlib.sha256(body).digest()).ljust(PAGE_BYTES, b"\0")
    assert TABLE.pack() == copy + copy


@pytest.mark.parametrize("n_rows", [0, 1, 29, 30, MAX_TENANTS])
def test_every_length_comes_back(n_rows):
    table = KeyTable(b"i" * 16, b"m" * 8, b"r" * 92, (ROW,) * n_rows)
    raw = table.pack()
    assert len(raw) % (2 * PAGE_BYTES) == 0
    assert read(raw) == table
    assert len(raw) <= 272 << 10


def test_either_copy_is_enough_wherever_the_other_is_damaged():
    raw = TABLE.pack()
    half = len(raw) // 2
    for at in range(132 + 2 * 128 + 32):
        for start in (0, half):
            changed = bytearray(raw)
            changed[start + at] ^= 1
            assert read(bytes(changed)) == TABLE


def test_both_damaged_are_refused_with_the_fix():
    raw = bytearray(TABLE.pack())
    for damaged in (bytes(len(raw)), b"", bytes(raw[:100]), bytes(raw[:400])):
        with pytest.raises(KeyTableError, match="restore it from a copy"):
            read(damaged)
    raw[20] ^= 1
    raw[len(raw) // 2 + 20] ^= 1
    with pytest.raises(KeyTableError, match="both copies"):
        read(bytes(raw))


def test_a_number_of_rows_that_cannot_be_is_not_believed():
    raw = bytearray(TABLE.pack())
    for start in (0, len(raw) // 2):
        struct.pack_into("<I", raw, start + 12, 0xFFFFFFFF)
    with pytest.raises(KeyTableError):
        read(bytes(raw))


def test_another_version_is_told_from_damage():
    body = bytearray(TABLE.pack()[: 132 + 2 * 128])
    struct.pack_into("<I", body, 8, 2)
    copy = (bytes(body) + hashlib.sha256(body).digest()).ljust(PAGE_BYTES, b"\0")
    with pytest.raises(KeyTableError, match="version 2"):
        read(copy + copy)
