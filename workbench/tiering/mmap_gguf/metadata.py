"""Read GGUF's typed key-value pairs; values too long to keep are checked and passed over.

Follows: the GGUF specification, versions 2 and 3.
Leaves out: the content of what was passed over (a tokenizer's vocabulary); its place is kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from workbench.tiering.mmap_gguf.reader import Reader

_STRING, _ARRAY, _BOOL = 8, 9, 7
_NUMBERS: dict[int, tuple[str, struct.Struct]] = {
    0: ("u8", struct.Struct("<B")),
    1: ("i8", struct.Struct("<b")),
    2: ("u16", struct.Struct("<H")),
    3: ("i16", struct.Struct("<h")),
    4: ("u32", struct.Struct("<I")),
    5: ("i32", struct.Struct("<i")),
    6: ("f32", struct.Struct("<f")),
    _BOOL: ("bool", struct.Struct("<B")),
    10: ("u64", struct.Struct("<Q")),
    11: ("i64", struct.Struct("<q")),
    12: ("f64", struct.Struct("<d")),
}
_NAMES = {
    **{kind: name for kind, (name, _) in _NUMBERS.items()},
    _STRING: "string",
    _ARRAY: "array",
}

_MAX_KEY_BYTES = 65_535
_MAX_STRING_BYTES = 64 << 20
_MAX_ELEMENTS = 16 << 20
_MAX_DEPTH = 2
# Arrays up to this long (one entry a layer) and strings up to this size are kept.
_MAX_KEPT_ELEMENTS = 1024
_MAX_KEPT_STRING_BYTES = 1 << 20
# What an element, or a pair without its key, costs in memory, for the reader's account.
_ELEMENT_BYTES = 40
_PAIR_BYTES = 100


@dataclass(frozen=True, slots=True)
class Skipped:
    """A value left in the file, its bounds checked: ``count`` elements from ``offset`` on.

    Strings stand with their length (u64) before each, in an array and alone.
    """

    element: str
    count: int
    offset: int
    n_bytes: int


Scalar = int | float | bool | str
Value = Scalar | tuple[Scalar, ...] | Skipped


@dataclass(frozen=True, slots=True)
class Field:
    """A metadata value with its declared type ("u32", "string", "array of i32") and its place."""

    value: Value
    kind: str
    offset: int


def read_pair(reader: Reader) -> tuple[str, Field]:
    """Read one key and its value."""
    key = reader.text("key", _MAX_KEY_BYTES, min_bytes=1)
    reader.keep(_PAIR_BYTES, f"key {key[:80]!r}")
    offset = reader.offset
    kind = reader.u32()
    if kind == _ARRAY:
        element, value = _array(reader, key, depth=1)
        return key, Field(value, f"array of {element}", offset)
    value = _string(reader, key) if kind == _STRING else _scalar(reader, kind, key)
    return key, Field(value, _NAMES[kind], offset)


def _string(reader: Reader, key: str) -> str | Skipped:
    """Read a string, or pass over one too long to keep (a whole tokenizer in JSON)."""
    start = reader.offset
    n_bytes = reader.text_bytes(f"the value of {key[:80]!r}", _MAX_STRING_BYTES)
    if n_bytes > _MAX_KEPT_STRING_BYTES:
        reader.skip(n_bytes, f"the value of {key[:80]!r}")
        return Skipped("string", 1, start, reader.offset - start)
    reader.offset = start
    return reader.text(f"the value of {key[:80]!r}", _MAX_KEPT_STRING_BYTES)


def _scalar(reader: Reader, kind: int, key: str) -> Scalar:
    if kind == _STRING:
        return reader.text(f"an element of {key[:80]!r}", _MAX_KEPT_STRING_BYTES)
    if kind not in _NUMBERS:
        raise reader.refuse(f"value type {kind} of {key[:80]!r} is unknown", reader.offset - 4)
    value = reader.number(_NUMBERS[kind][1])
    if kind != _BOOL:
        return value
    if value not in (0, 1):
        raise reader.refuse(f"boolean {key[:80]!r} is {value}, neither 0 nor 1", reader.offset - 1)
    return bool(value)


def _array(reader: Reader, key: str, depth: int) -> tuple[str, Value]:
    """Read an array's head; return its element type, and its values or its place."""
    what = f"array {key[:80]!r}"
    start = reader.offset
    kind = reader.u32()
    count = reader.u64()
    least_bytes = _least_bytes(reader, kind, what, start)
    if count > _MAX_ELEMENTS or count * least_bytes > reader.remaining:
        raise reader.refuse(
            f"{what} claims {count} elements of at least {least_bytes} bytes; "
            f"{reader.remaining} bytes remain and {_MAX_ELEMENTS} elements are allowed",
            start,
        )
    if count <= _MAX_KEPT_ELEMENTS and kind != _ARRAY and depth == 1:
        reader.keep(count * _ELEMENT_BYTES, what)
        return _NAMES[kind], tuple(_scalar(reader, kind, key) for _ in range(count))
    first = reader.offset
    _pass_over(reader, kind, count, key, depth)
    return _NAMES[kind], Skipped(_NAMES[kind], count, first, reader.offset - first)


def _least_bytes(reader: Reader, kind: int, what: str, start: int) -> int:
    if kind in _NUMBERS:
        return _NUMBERS[kind][1].size
    if kind == _STRING:
        return 8
    if kind == _ARRAY:
        return 12
    raise reader.refuse(f"element type {kind} of {what} is unknown", start)


def _pass_over(reader: Reader, kind: int, count: int, key: str, depth: int) -> None:
    what = f"array {key[:80]!r}"
    if kind == _STRING:
        reader.skip_texts(count, _MAX_STRING_BYTES, what)
    elif kind == _ARRAY:
        if depth == _MAX_DEPTH:
            raise reader.refuse(f"{what} is nested more than {_MAX_DEPTH} deep")
        # An inner array takes far longer to check than a string.
        reader.step(16 * count, what)
        for _ in range(count):
            _array(reader, key, depth + 1)
    else:
        reader.skip(count * _NUMBERS[kind][1].size, what)
