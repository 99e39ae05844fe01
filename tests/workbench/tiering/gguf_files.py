"""Write small GGUF files for tests, right ones and wrong ones.

Follows: the GGUF specification. Leaves out: everything a reader should refuse; tests patch that in.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

NUMBERS = {
    "u8": (0, "<B"),
    "i8": (1, "<b"),
    "u16": (2, "<H"),
    "i16": (3, "<h"),
    "u32": (4, "<I"),
    "i32": (5, "<i"),
    "f32": (6, "<f"),
    "bool": (7, "<?"),
    "u64": (10, "<Q"),
    "i64": (11, "<q"),
    "f64": (12, "<d"),
}
STRING, ARRAY = 8, 9


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value % (1 << 64))


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return u64(len(raw)) + raw


def number(kind: str, value: float) -> bytes:
    return struct.pack(NUMBERS[kind][1], value)


def scalar(key: str | bytes, kind: str, value: float | str) -> bytes:
    """Return a metadata pair holding a number or a string."""
    if isinstance(value, str):
        return text(key) + u32(STRING) + text(value)
    return text(key) + u32(NUMBERS[kind][0]) + number(kind, value)


def array(key: str, kind: str, values: Sequence[float | str]) -> bytes:
    """Return a metadata pair holding an array of numbers or strings."""
    code = STRING if kind == "string" else NUMBERS[kind][0]
    body = b"".join(text(v) if isinstance(v, str) else number(kind, v) for v in values)
    return text(key) + u32(ARRAY) + u32(code) + u64(len(values)) + body


def tensor(name: str, shape: Sequence[int], kind: int, offset: int) -> bytes:
    """Return a tensor record; ``kind`` is the GGML type id."""
    dims = b"".join(u64(extent) for extent in shape)
    return text(name) + u32(len(shape)) + dims + u32(kind) + u64(offset)


@dataclass
class GGUFFile:
    """A file to be: pairs and tensor records as bytes, and the data that follows, or its size."""

    pairs: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=list)
    data_bytes: int = 0
    alignment: int = 32
    version: int = 3
    magic: bytes = b"GGUF"
    n_pairs: int | None = None
    n_tensors: int | None = None
    data: bytes = b""

    def header(self) -> bytes:
        n_tensors = len(self.tensors) if self.n_tensors is None else self.n_tensors
        n_pairs = len(self.pairs) if self.n_pairs is None else self.n_pairs
        head = self.magic + u32(self.version) + u64(n_tensors) + u64(n_pairs)
        return head + b"".join(self.pairs) + b"".join(self.tensors)

    def to_bytes(self) -> bytes:
        header = self.header()
        padding = -len(header) % self.alignment
        return header + bytes(padding) + (self.data or bytes(self.data_bytes))

    def write(self, path: Path) -> Path:
        path.write_bytes(self.to_bytes())
        return path


def tiny_llama(**changes: bytes) -> GGUFFile:
    """Return a small valid model: 3 layers, 4 heads, 2 KV heads, embedding 64, two tensors.

    ``changes`` replace or add pairs by the key's last part, e.g. ``block_count=...``.
    """
    pairs = {
        "architecture": scalar("general.architecture", "", "llama"),
        "block_count": scalar("llama.block_count", "u32", 3),
        "embedding_length": scalar("llama.embedding_length", "u32", 64),
        "head_count": scalar("llama.attention.head_count", "u32", 4),
        "head_count_kv": scalar("llama.attention.head_count_kv", "u32", 2),
        "tokens": array("tokenizer.ggml.tokens", "string", [f"token{i}" for i in range(2000)]),
        **changes,
    }
    # 32 x 2 values in F32: 256 bytes; 64 x 3 in Q4_1: 6 blocks of 20 bytes.
    tensors = [tensor("first", (32, 2), 0, 0), tensor("second", (64, 3), 3, 256)]
    return GGUFFile([pair for pair in pairs.values() if pair], tensors, data_bytes=256 + 120)
