"""Read a long array that the header passed over: a vocabulary's strings, scores and types.

Follows: RELIABILITY's rule for GGUF: the file is opened again, so everything is checked again.
Leaves out: arrays of arrays, which no known key holds.
"""

from __future__ import annotations

import os
import stat
import struct

import numpy as np
import numpy.typing as npt

from workbench.tiering.mmap_gguf.header import GGUFHeader
from workbench.tiering.mmap_gguf.metadata import Skipped
from workbench.tiering.mmap_gguf.reader import GGUFError

# Llama 3 has 128,256 tokens and 280,147 merges, qwen2 151,936 and 151,387. Each element becomes a
# Python string: with 384 Ki of them a refusal still stays within 1 s and 64 MiB, with 1 Mi not.
_MAX_ARRAY_BYTES = 32 << 20
_MAX_ELEMENTS = 384 << 10
_DTYPES = {"f32": "<f4", "i32": "<i4", "u32": "<u4"}
_U64 = struct.Struct("<Q")


def read_strings(header: GGUFHeader, key: str) -> list[str]:
    """Return an array of strings, from the header or from the file.

    Parameters
    ----------
    header : GGUFHeader
    key : str             such as "tokenizer.ggml.tokens"

    Raises
    ------
    GGUFError   if the key is missing, no array of strings, longer than 32 MiB or 384 Ki elements,
                not UTF-8, or no longer what the header found

    Cost    about 0.2 us a string.
    """
    value = header.field(key, "array of string").value
    if not isinstance(value, Skipped):
        return [str(element) for element in _kept(value)]
    raw = _read(header, key, value)
    n_bytes = len(raw)
    strings: list[str] = []
    start = 0
    try:
        for _ in range(value.count):
            start += 8
            end = start + _U64.unpack_from(raw, start - 8)[0] if start <= n_bytes else start
            if end > n_bytes:
                raise _changed(header, key, value)
            strings.append(raw[start:end].decode("utf-8"))
            start = end
    except UnicodeDecodeError as error:
        reason = f"an element of {key} is not UTF-8: {error.reason}"
        raise header.refuse(reason, value.offset + start + error.start) from error
    return strings


def read_numbers(header: GGUFHeader, key: str, kind: str) -> npt.NDArray[np.generic]:
    """Return an array of numbers, from the header or from the file.

    Parameters
    ----------
    header : GGUFHeader
    key : str             such as "tokenizer.ggml.scores"
    kind : str            "f32", "i32" or "u32": the element type that the key must have

    Returns
    -------
    numbers : float32[n], int32[n] or uint32[n]   memory of its own

    Raises
    ------
    GGUFError   if the key is missing, of another type, longer than 32 MiB or 1 Mi elements, or
                the file became shorter
    """
    value = header.field(key, f"array of {kind}").value
    dtype = np.dtype(_DTYPES[kind])
    if not isinstance(value, Skipped):
        return np.array(_kept(value), dtype=dtype)
    return np.frombuffer(_read(header, key, value), dtype=dtype)


def _kept(value: object) -> tuple[int | float | bool | str, ...]:
    assert isinstance(value, tuple)
    return value


def _read(header: GGUFHeader, key: str, value: Skipped) -> bytes:
    """Read a passed-over value's bytes; the place was checked when the header was read."""
    if value.n_bytes > _MAX_ARRAY_BYTES or value.count > _MAX_ELEMENTS:
        raise header.refuse(
            f"{key} has {value.count} elements in {value.n_bytes} bytes; "
            f"{_MAX_ELEMENTS} and {_MAX_ARRAY_BYTES} are allowed",
            value.offset,
        )
    try:
        # A pipe put in the file's place would wait for its writer for ever.
        fd = os.open(header.path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        reason = f"cannot be opened: {os.strerror(error.errno or 0)}"
        raise header.refuse(reason, value.offset) from error
    try:
        same = stat.S_ISREG(os.fstat(fd).st_mode) and os.fstat(fd).st_size == header.file_bytes
        raw = os.pread(fd, value.n_bytes, value.offset) if same else b""
    finally:
        os.close(fd)
    if len(raw) != value.n_bytes:
        raise _changed(header, key, value)
    return raw


def _changed(header: GGUFHeader, key: str, value: Skipped) -> GGUFError:
    return header.refuse(f"{key}: the file changed since its header was read", value.offset)
