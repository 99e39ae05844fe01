"""Hostile model files by name: one or more for every row of the hardened loader's checklist.

Follows: the advisories on GGUF readers of 2024-2026, field by field; each file is a whole model
with one thing wrong, so that a reader that misses it goes on and does harm.
Leaves out: files that are no GGUF in other ways (tests/workbench/tiering/mmap_gguf/test_header.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.torture.gguf.models import MERGES, PIECES, PREFIX, byte_level_model, sentencepiece_model
from tests.workbench.tiering.gguf_files import GGUFFile, array, scalar, tensor, text, u32, u64
from tests.workbench.tiering.gguf_models import Model, split_pairs, write_parts

Write = Callable[[Path], Path]


@dataclass(frozen=True)
class Case:
    """A hostile file: which row of the checklist it stands for, and why it must be refused."""

    row: str
    name: str
    write: Write
    reason: str


def _file(change: Callable[[GGUFFile], object]) -> Write:
    """Return a writer of the byte-level model, changed as a file."""

    def write(folder: Path) -> Path:
        file = byte_level_model().file()
        change(file)
        return file.write(folder / "hostile.gguf")

    return write


def _set(**values: object) -> Write:
    return _file(lambda file: [setattr(file, name, value) for name, value in values.items()])


def _pair(pair: bytes) -> Write:
    return _file(lambda file: file.pairs.append(pair))


def _key(key: str, kind: int, body: bytes) -> Write:
    return _pair(text(key) + u32(kind) + body)


def _model(model: Model, **pairs: bytes) -> Write:
    """Return a writer of a model with other values for keys; ``__`` stands for a dot."""
    changes = {name.replace("__", "."): pair for name, pair in pairs.items()}

    def write(folder: Path) -> Path:
        changed = replace(model, pairs={**model.pairs, **changes})
        return changed.file().write(folder / "hostile.gguf")

    return write


def _value(key: str, kind: str, value: float | str) -> Write:
    return _model(byte_level_model(), **{key: scalar(key, kind, value)})


def _tokens(name: str, pair: bytes) -> Write:
    return _model(byte_level_model(), **{f"{PREFIX}{name}": pair})


def _pieces(name: str, pair: bytes) -> Write:
    return _model(sentencepiece_model(), **{f"{PREFIX}{name}": pair})


def _first(shape: tuple[int, ...], kind: int = 2, offset: int = 0, name: str = "") -> Write:
    """Return a writer whose first tensor, the embedding, has another record."""

    def change(file: GGUFFile) -> None:
        file.tensors[0] = tensor(name or "token_embd.weight", shape, kind, offset)

    return _file(change)


def _raw(make: Callable[[bytes], bytes]) -> Write:
    def write(folder: Path) -> Path:
        path = folder / "hostile.gguf"
        path.write_bytes(make(byte_level_model().file().to_bytes()))
        return path

    return write


def _sparse(write: Write, n_bytes: int) -> Write:
    """Return a writer that makes the file that long without storing anything."""

    def stretched(folder: Path) -> Path:
        path = write(folder)
        with path.open("r+b") as file:
            file.truncate(n_bytes)
        return path

    return stretched


def _split(change: Callable[[list[GGUFFile]], object]) -> Write:
    def write(folder: Path) -> Path:
        files = byte_level_model().parts(2)
        change(files)
        return write_parts(folder, files)

    return write


def _part_of_itself(folder: Path) -> Path:
    path = write_parts(folder, byte_level_model().parts(2))
    other = folder / "m-00002-of-00002.gguf"
    other.unlink()
    other.symlink_to(path.name)
    return path


def _without_its_second(folder: Path) -> Path:
    path = write_parts(folder, byte_level_model().parts(2))
    (folder / "m-00002-of-00002.gguf").unlink()
    return path


def _nested(depth: int) -> bytes:
    return (u32(9) + u64(1)) * depth


_TERA = 1 << 40
_HUGE = 1 << 60

CASES = (
    Case("magic, version", "magic of another format", _set(magic=b"GGML"), "not a GGUF"),
    Case("magic, version", "big-endian magic", _set(magic=b"FUGG"), "not a GGUF"),
    Case("magic, version", "version 0", _set(version=0), "version 0"),
    Case("magic, version", "version 1", _set(version=1), "version 1"),
    Case("magic, version", "version 4", _set(version=4), "version 4"),
    Case("magic, version", "big-endian version", _set(version=3 << 24), "big-endian"),
    Case("counts", "minus one tensors", _set(n_tensors=-1), "tensors claimed"),
    Case("counts", "2^40 tensors", _set(n_tensors=_TERA), "tensors claimed"),
    Case("counts", "one tensor too many", _set(n_tensors=12), "tensor"),
    Case("counts", "minus one keys", _set(n_pairs=-1), "pairs claimed"),
    Case("counts", "2^40 keys (CVE-2024-23605)", _set(n_pairs=_TERA), "pairs claimed"),
    Case("counts", "one key too many", _set(n_pairs=16), "claims"),
    Case("counts", "2^40 keys in a sparse TiB", _sparse(_set(n_pairs=_TERA), _TERA), "claimed"),
    Case("key", "empty", _pair(scalar("", "u32", 1)), "key claims 0 bytes"),
    Case("key", "twice", _pair(scalar("general.architecture", "", "llama")), "appears twice"),
    Case("key", "length -1", _pair(u64(-1) + bytes(16)), "key claims 18446744073709551615"),
    Case("key", "no UTF-8", _pair(scalar(b"\xff\xfe", "u32", 1)), "not UTF-8"),
    Case("key", "65,536 bytes", _pair(scalar("k" * 65_536, "u32", 1)), "key claims 65536"),
    Case("string", "2^62 bytes", _key("k", 8, u64(1 << 62)), "claims 4611686018427387904"),
    Case("string", "2^64 - 1 (CVE-2025-66960)", _key("k", 8, u64(-1)), "claims 18446744073709551"),
    Case(
        "string",
        "65 MiB in a sparse file",
        _sparse(_key("k", 8, u64(65 << 20)), 1 << 30),
        "claims 68157440 bytes",
    ),
    Case("array", "2^60 of u8", _key("k", 9, u32(0) + u64(_HUGE)), "claims 1152921504606846976"),
    Case("array", "2^60 strings", _key("k", 9, u32(8) + u64(_HUGE)), "claims 11529215"),
    Case("array", "2^61 of u64, which wrap", _key("k", 9, u32(10) + u64(2 * _HUGE)), "claims 2305"),
    Case("array", "5,000 deep", _key("k", 9, _nested(5000)), "nested more than 2 deep"),
    Case("array", "three deep", _key("k", 9, _nested(3) + u32(0) + u64(0)), "nested"),
    Case(
        "array",
        "17 million in a sparse file",
        _sparse(_key("k", 9, u32(0) + u64(17 << 20)), 1 << 30),
        "16777216 elements are allowed",
    ),
    Case("type ids", "value type 13", _key("k", 13, bytes(8)), "type 13"),
    Case("type ids", "element type 999", _key("k", 9, u32(999) + u64(1)), "type 999"),
    Case("type ids", "tensor type 999", _first((32, 10), kind=999), "unknown type 999"),
    Case("type ids", "removed tensor type 4", _first((32, 10), kind=4), "unknown type 4"),
    Case("type ids", "boolean 2", _key("k", 7, b"\x02"), "neither 0 nor 1"),
    Case(
        "type ids",
        "scores as int8",
        _pieces("scores", array(f"{PREFIX}scores", "i8", [0] * len(PIECES))),
        r"array of i8, expected array of f32",
    ),
    Case(
        "type ids",
        "tokens as u32",
        _tokens("tokens", array(f"{PREFIX}tokens", "u32", [0] * 10)),
        "array of u32, expected array of string",
    ),
    Case(
        "type ids",
        "token types as f32",
        _tokens("token_type", array(f"{PREFIX}token_type", "f32", [1.0] * 10)),
        "array of f32, expected array of i32",
    ),
    Case(
        "type ids",
        "merges as one string",
        _tokens("merges", scalar(f"{PREFIX}merges", "", MERGES[0])),
        "is string, expected array of string",
    ),
    Case(
        "type ids",
        "tokens as arrays",
        _tokens("tokens", text(f"{PREFIX}tokens") + u32(9) + u32(9) + u64(0)),
        "array of array, expected array of string",
    ),
    Case("type ids", "alignment i32", _value("general.alignment", "i32", 32), "expected u32"),
    Case("type ids", "architecture u32", _value("general.architecture", "u32", 1), "is u32"),
    Case("ranges", "block_count 10^9", _value("llama.block_count", "u32", 10**9), "outside 1"),
    Case("ranges", "block_count 0", _value("llama.block_count", "u32", 0), "outside 1"),
    Case("ranges", "no heads", _value("llama.attention.head_count", "u32", 0), "outside 1"),
    Case("ranges", "no KV heads", _value("llama.attention.head_count_kv", "u32", 0), "not divide"),
    Case("ranges", "embedding of -1", _value("llama.embedding_length", "i32", -1), "is i32"),
    Case("ranges", "context 0", _value("llama.context_length", "u32", 0), "outside 1"),
    Case(
        "ranges",
        "NaN epsilon",
        _value("llama.attention.layer_norm_rms_epsilon", "f32", float("nan")),
        "nan is outside",
    ),
    Case("ranges", "rope base inf", _value("llama.rope.freq_base", "f32", float("inf")), "outside"),
    Case("ranges", "rope wider", _value("llama.rope.dimension_count", "u32", 1 << 20), "outside"),
    Case("ranges", "head of 2^30", _value("llama.attention.key_length", "u32", 1 << 30), "outside"),
    Case(
        "ranges",
        "vocabulary of 5 million in a sparse file",
        _sparse(_first((32, 5_000_000), offset=0), 1 << 30),
        "overlaps|4000000 are allowed",
    ),
    Case(
        "ranges",
        "token id outside the vocabulary",
        _tokens("eos_token_id", scalar(f"{PREFIX}eos_token_id", "u32", 10)),
        r"eos_token_id = 10 is outside 0\.\.9",
    ),
    Case(
        "ranges",
        "fewer scores than tokens",
        _pieces("scores", array(f"{PREFIX}scores", "f32", [0.0])),
        "has 1 elements for 9 tokens",
    ),
    Case(
        "ranges",
        "NaN scores",
        _pieces("scores", array(f"{PREFIX}scores", "f32", [float("nan")] * len(PIECES))),
        "holds a NaN",
    ),
    Case(
        "ranges",
        "fewer tokens than rows",
        _tokens("tokens", array(f"{PREFIX}tokens", "string", ["a"])),
        "has 1 tokens",
    ),
    Case(
        "ranges",
        "tokens that are no UTF-8",
        _tokens("tokens", text(f"{PREFIX}tokens") + u32(9) + u32(8) + u64(10) + text(b"\xff") * 10),
        "not UTF-8",
    ),
    Case("alignment", "0", _value("general.alignment", "u32", 0), "power of two"),
    Case("alignment", "13", _value("general.alignment", "u32", 13), "power of two"),
    Case("alignment", "4", _value("general.alignment", "u32", 4), "power of two"),
    Case("alignment", "2^31", _value("general.alignment", "u32", 1 << 31), "power of two"),
    Case("tensor", "no dimensions", _first(()), "0 dimensions"),
    Case("tensor", "5 dimensions", _first((32, 10, 1, 1, 1)), "5 dimensions"),
    Case("tensor", "2^32 - 1 dimensions", _first((32,) * 5), "5 dimensions"),
    Case("tensor", "an extent of 0", _first((32, 0)), "no values"),
    Case("tensor", "extents that wrap to 0", _first((1 << 32, 1 << 32)), r"2\^48"),
    Case("tensor", "extents that wrap to 320", _first((1 << 63, 2, 320)), r"2\^48"),
    Case("tensor", "an extent of -1", _first((32, -1)), r"2\^48"),
    Case("tensor", "part of a block", _first((31, 10)), "no multiple of 32"),
    Case("tensor", "no name", _file(lambda f: _rename(f, "")), "name claims 0"),
    Case("tensor", "a name of 65 bytes", _file(lambda f: _rename(f, "n" * 65)), "name claims 65"),
    Case("tensor", "twice", _file(lambda f: _rename(f, "output_norm.weight")), "appears twice"),
    Case("tensor", "one missing", _file(lambda f: f.tensors.pop()), "is missing"),
    Case("tensor", "one without a part", _first((32, 10), name="blk.9.evil"), "no matrix|no part"),
    Case("tensor", "a type not computed with", _first((32, 10), kind=20), "is IQ4_NL"),
    Case("tensor", "a square embedding", _first((32, 9)), "tokens"),
    Case("offset", "-1", _first((32, 10), offset=-1), "no multiple of 32"),
    Case("offset", "-32: into the header", _first((32, 10), offset=-32), "pass the file's end"),
    Case("offset", "2^63", _first((32, 10), offset=1 << 63), "pass the file's end"),
    Case("offset", "3", _first((32, 10), offset=3), "no multiple of 32"),
    Case("offset", "10^9", _first((32, 10), offset=32 * 10**9), "pass the file's end"),
    Case("offset", "overlap", _first((32, 12)), "overlaps or precedes"),
    Case("offset", "out of order", _file(lambda f: f.tensors.reverse()), "overlaps or precedes"),
    Case(
        "offset",
        "beyond the file (CVE-2026-7482)",
        _first((32, 1 << 40), kind=2),
        "pass the file's end",
    ),
    Case(
        "offset",
        "sizes whose sum wraps (CVE-2025-53630)",
        _file(lambda f: f.tensors.append(tensor("x", (1 << 24, 1 << 24), 0, 1 << 62))),
        "pass the file's end",
    ),
    Case("file", "empty", _raw(lambda file: b""), "truncated"),
    Case("file", "four bytes", _raw(lambda file: file[:4]), "truncated"),
    Case("file", "one byte short", _raw(lambda file: file[:-1]), "pass the file's end"),
    Case("file", "header alone", _raw(lambda file: file[:1400]), "truncated|remain|pass"),
    Case("file", "all zeros", _raw(lambda file: bytes(len(file))), "not a GGUF"),
    Case("file", "all ones", _raw(lambda file: b"\xff" * len(file)), "not a GGUF"),
    Case("split", "65,535 files", _split(lambda files: _resplit(files, 65_535)), "outside 1"),
    Case("split", "part of itself", _part_of_itself, "split.no = 0 is outside"),
    Case("split", "a file missing", _without_its_second, "No such file"),
    Case(
        "split",
        "more tensors than said",
        _split(lambda files: [_resplit(files, 2, total=5)]),
        "split.tensors.count",
    ),
)


def _rename(file: GGUFFile, name: str) -> None:
    file.tensors[0] = tensor(name, (32, 10), 2, 0)


def _resplit(files: list[GGUFFile], count: int, total: int = 11) -> None:
    for number, file in enumerate(files):
        file.pairs[-3:] = split_pairs(number, count, total)
