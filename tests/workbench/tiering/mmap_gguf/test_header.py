"""read_header(): right files are read exactly, hostile ones are refused fast, small and by byte."""

import os
import subprocess
import sys

import pytest

from tests.workbench.tiering.gguf_files import (
    GGUFFile,
    array,
    scalar,
    tensor,
    text,
    tiny_llama,
    u32,
    u64,
)
from workbench import paths
from workbench.tiering.mmap_gguf import GGUFError, Skipped, kv_geometry, read_header

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
_HUGE = 1 << 60


def pair(key: str, kind: int, body: bytes) -> bytes:
    return text(key) + u32(kind) + body


def with_pairs(*pairs: bytes) -> GGUFFile:
    return GGUFFile(pairs=list(pairs))


def with_tensors(*tensors: bytes, data_bytes: int = 4096) -> GGUFFile:
    return GGUFFile(tensors=list(tensors), data_bytes=data_bytes)


HOSTILE = {
    "empty": (b"", "truncated"),
    "four bytes": (b"GGUF", "truncated"),
    "bad magic": (GGUFFile(magic=b"GGML"), "not a GGUF"),
    "big-endian magic": (GGUFFile(magic=b"FUGG"), "not a GGUF"),
    "version 0": (GGUFFile(version=0), "version 0"),
    "version 1": (GGUFFile(version=1), "version 1"),
    "version 4": (GGUFFile(version=4), "version 4"),
    "big-endian": (GGUFFile(version=3 << 24), "big-endian"),
    "minus one tensors": (GGUFFile(n_tensors=-1), "tensors claimed"),
    "2^40 tensors": (GGUFFile(n_tensors=1 << 40), "tensors claimed"),
    "more tensors than bytes": (GGUFFile(n_tensors=2), "tensors claimed"),
    "minus one pairs": (GGUFFile(n_pairs=-1), "pairs claimed"),
    "2^40 pairs": (GGUFFile(n_pairs=1 << 40), "pairs claimed"),
    "empty key": (with_pairs(scalar("", "u32", 1)), "key claims 0 bytes"),
    "long key": (with_pairs(scalar("k" * 65_536, "u32", 1)), "key claims 65536"),
    "key of length -1": (with_pairs(u64(-1) + bytes(16)), "key claims"),
    "key is not UTF-8": (with_pairs(scalar(b"\xff\xfe", "u32", 1)), "not UTF-8"),
    "key twice": (with_pairs(scalar("k", "u32", 1), scalar("k", "u32", 2)), "appears twice"),
    "string of 2^62": (with_pairs(pair("k", 8, u64(1 << 62))), "claims 4611686018427387904"),
    "string past the end": (with_pairs(pair("k", 8, u64(100) + b"abc")), "claims 100 bytes"),
    "value is not UTF-8": (with_pairs(pair("k", 8, text(b"ab\xff"))), "not UTF-8"),
    "value type 13": (with_pairs(pair("k", 13, bytes(8))), "type 13"),
    "boolean 2": (with_pairs(pair("k", 7, b"\x02")), "neither 0 nor 1"),
    "number cut": (with_pairs(pair("k", 10, bytes(4))).header(), "truncated"),
    "array of 2^60 u8": (with_pairs(pair("k", 9, u32(0) + u64(_HUGE))), "claims 11529215"),
    "array of 2^60 strings": (with_pairs(pair("k", 9, u32(8) + u64(_HUGE))), "claims 11529215"),
    "array of type 999": (with_pairs(pair("k", 9, u32(999) + u64(1))), "element type 999"),
    "array past the end": (with_pairs(pair("k", 9, u32(4) + u64(9) + bytes(8))), "9 elements"),
    "string in array past the end": (
        with_pairs(pair("k", 9, u32(8) + u64(2000) + text("a" * 50) * 300 + u64(1 << 50))),
        "does not fit",
    ),
    "arrays 5000 deep": (with_pairs(pair("k", 9, (u32(9) + u64(1)) * 5000)), "nested"),
    "alignment 0": (with_pairs(scalar("general.alignment", "u32", 0)), "power of two"),
    "alignment 13": (with_pairs(scalar("general.alignment", "u32", 13)), "power of two"),
    "alignment 2^31": (with_pairs(scalar("general.alignment", "u32", 1 << 31)), "power of two"),
    "alignment i32": (with_pairs(scalar("general.alignment", "i32", 32)), "expected u32"),
    "no dimensions": (with_tensors(tensor("t", (), 0, 0)), "0 dimensions"),
    "5 dimensions": (with_tensors(tensor("t", (1,) * 5, 0, 0)), "5 dimensions"),
    "dimension 0": (with_tensors(tensor("t", (32, 0), 0, 0)), "no values"),
    "dimensions wrap to 0": (with_tensors(tensor("t", (1 << 32, 1 << 32), 0, 0)), "2\\^48"),
    "dimensions wrap to 4": (with_tensors(tensor("t", (1 << 63, 2, 4), 0, 0)), "2\\^48"),
    "negative dimension": (with_tensors(tensor("t", (-1,), 0, 0)), "2\\^48"),
    "part of a block": (with_tensors(tensor("t", (33,), 2, 0)), "no multiple of 32"),
    "tensor type 4": (with_tensors(tensor("t", (32,), 4, 0)), "unknown type 4"),
    "tensor type 999": (with_tensors(tensor("t", (32,), 999, 0)), "unknown type 999"),
    "tensor name of 64 bytes": (with_tensors(tensor("n" * 64, (32,), 0, 0)), "name claims 64"),
    "tensor name empty": (with_tensors(tensor("", (32,), 0, 0)), "name claims 0"),
    "tensor twice": (
        with_tensors(tensor("t", (8,), 0, 0), tensor("t", (8,), 0, 32)),
        "appears twice",
    ),
    "offset 3": (with_tensors(tensor("t", (8,), 0, 3)), "no multiple of 32"),
    "offset -1": (with_tensors(tensor("t", (8,), 0, -1)), "no multiple of 32"),
    "offset wraps into the header": (with_tensors(tensor("t", (8,), 0, -32)), "pass the file's"),
    "offset 10^9": (with_tensors(tensor("t", (8,), 0, 32 * 10**9)), "pass the file's"),
    "overlap": (
        with_tensors(tensor("a", (32,), 0, 0), tensor("b", (8,), 0, 96)),
        "'b'.*overlaps",
    ),
    "out of order": (
        with_tensors(tensor("a", (8,), 0, 64), tensor("b", (8,), 0, 0)),
        "'b'.*overlaps",
    ),
    "last byte missing": (
        with_tensors(tensor("t", (32,), 0, 0), data_bytes=127),
        "pass the file's end",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(tmp_path, name):
    file, reason = HOSTILE[name]
    path = tmp_path / "hostile.gguf"
    path.write_bytes(file if isinstance(file, bytes) else file.to_bytes())
    with pytest.raises(GGUFError, match=reason) as caught:
        read_header(path)
    error = caught.value
    assert 0 <= error.offset <= path.stat().st_size
    assert str(error).endswith(f"hostile.gguf: byte {error.offset}: {error.reason}")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = tiny_llama(tokens=b"").to_bytes()
    path = tmp_path / "cut.gguf"
    for n_bytes in range(len(whole)):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(GGUFError):
            read_header(path)
    path.write_bytes(whole)
    assert len(read_header(path).tensors) == 2


def many_tensors() -> bytes:
    records = [tensor(f"{i:063d}", (8, 1, 1, 1), 0, 32 * i) for i in range(65_536)]
    return GGUFFile(tensors=records).to_bytes()


def many_pairs() -> bytes:
    return with_pairs(*(scalar(f"{i:06d}", "u64", 1 << 62) for i in range(65_536))).to_bytes()


def many_tensors_and_pairs() -> bytes:
    records = [tensor(f"{i:063d}", (8, 1, 1, 1), 0, 32 * i) for i in range(65_536)]
    pairs = [array(f"{i:05d}", "u8", []) for i in range(65_536)]
    return GGUFFile(pairs, records).to_bytes()


def many_strings() -> bytes:
    return with_pairs(pair("k", 9, u32(8) + u64(2 << 20) + bytes(8 * (2 << 20))) + b"!").to_bytes()


def too_many_strings() -> bytes:
    one = u32(8) + u64(2 << 20) + bytes(8 * (2 << 20))
    return with_pairs(pair("a", 9, one), pair("b", 9, one)).to_bytes()


def wide_strings() -> bytes:
    one = text("\N{GRINNING FACE}" + "a" * ((1 << 20) - 4))
    return with_pairs(*(pair(f"k{i}", 8, one) for i in range(20))).to_bytes()


def many_arrays() -> bytes:
    return with_pairs(*(array(f"k{i}", "u8", [1] * 1024) for i in range(3000))).to_bytes()


def many_inner_arrays() -> bytes:
    inner = (u32(0) + u64(0)) * (1 << 17)
    return with_pairs(pair("k", 9, u32(9) + u64(1 << 17) + inner)).to_bytes()


COSTLY = {
    build.__name__: build
    for build in (
        many_tensors,
        many_pairs,
        many_tensors_and_pairs,
        many_strings,
        too_many_strings,
        wide_strings,
        many_arrays,
        many_inner_arrays,
    )
}

# In a process of its own: the peak of this one says nothing about a single file.
_PEAK = """
import re, resource, sys
from pathlib import Path
from workbench.tiering.mmap_gguf import GGUFError, read_header

def peak():
    # Not ru_maxrss on Linux: that one counts the parent's memory from before exec.
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
try:
    read_header(Path(sys.argv[1]))
except GGUFError:
    print("refused")
else:
    print("read")
print(peak() - before)
"""


@pytest.mark.parametrize("name", COSTLY)
def test_the_costliest_headers_stay_small(tmp_path, name):
    path = tmp_path / "costly.gguf"
    path.write_bytes(COSTLY[name]())
    answer = subprocess.run(
        [sys.executable, "-c", _PEAK, path],
        cwd=paths.root(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    verdict, peak_bytes = answer.stdout.split()
    allowed = {"many_pairs", "many_strings", "many_inner_arrays"}
    assert verdict == ("read" if name in allowed else "refused")
    assert int(peak_bytes) < 64 << 20


def test_a_sparse_file_of_a_terabyte_is_refused(tmp_path):
    path = tmp_path / "sparse.gguf"
    with path.open("wb") as file:
        file.write(with_pairs(pair("k", 9, u32(0) + u64(1 << 39))).to_bytes())
        file.truncate(1 << 40)
    with pytest.raises(GGUFError, match="elements are allowed"):
        read_header(path)


@pytest.mark.parametrize("version", [2, 3])
def test_a_valid_file_is_read_exactly(tmp_path, version):
    file = tiny_llama()
    file.version = version
    path = file.write(tmp_path / "tiny.gguf")
    header = read_header(path)
    assert (header.version, header.architecture, header.alignment) == (version, "llama", 32)
    assert header.metadata["llama.block_count"] == 3
    assert header.fields["llama.block_count"].kind == "u32"
    assert header.data_offset == path.stat().st_size - 376
    first, second = header.tensors
    assert (first.name, first.shape, first.ggml_type.name) == ("first", (32, 2), "F32")
    assert (first.offset, first.n_bytes) == (header.data_offset, 256)
    assert (second.offset, second.n_bytes) == (header.data_offset + 256, 120)
    assert second.offset + second.n_bytes == header.file_bytes
    assert header.weight_bytes() == {"F32": 256, "Q4_1": 120}


def test_a_long_vocabulary_is_left_in_the_file(tmp_path):
    path = tiny_llama().write(tmp_path / "tiny.gguf")
    tokens = read_header(path).metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, Skipped)
    assert (tokens.element, tokens.count) == ("string", 2000)
    raw = path.read_bytes()[tokens.offset : tokens.offset + tokens.n_bytes]
    assert raw == b"".join(text(f"token{i}") for i in range(2000))


def test_the_stated_alignment_places_the_data(tmp_path):
    file = tiny_llama(alignment=scalar("general.alignment", "u32", 4096))
    file.alignment = 4096
    file.tensors = [tensor("only", (32, 2), 0, 4096)]
    file.data_bytes = 4096 + 256
    header = read_header(file.write(tmp_path / "aligned.gguf"))
    assert header.data_offset % 4096 == 0
    assert header.tensors[0].offset == header.data_offset + 4096


def test_a_file_without_tensors_needs_no_padding(tmp_path):
    path = tmp_path / "vocabulary.gguf"
    path.write_bytes(with_pairs(scalar("general.architecture", "", "gpt2")).header())
    assert read_header(path).tensors == ()


def test_missing_and_mistyped_keys_are_named(tmp_path):
    header = read_header(tiny_llama().write(tmp_path / "tiny.gguf"))
    with pytest.raises(GGUFError, match=r"general\.name is missing"):
        header.string("general.name")
    with pytest.raises(GGUFError, match="is u32, expected string"):
        header.string("llama.block_count")
    with pytest.raises(GGUFError, match=r"block_count = 3 is outside 4\.\.9"):
        header.integer("llama.block_count", 4, 9)
    with pytest.raises(GGUFError, match="is string, expected u32"):
        header.integer("general.architecture", 0, 9)


def test_an_endless_architecture_is_not_kept(tmp_path):
    long = scalar("general.architecture", "", "a" * (2 << 20))
    header = read_header(tiny_llama(architecture=long).write(tmp_path / "long.gguf"))
    assert isinstance(header.metadata["general.architecture"], Skipped)
    with pytest.raises(GGUFError, match="too long"):
        _ = header.architecture


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    path = tmp_path / "thing.gguf"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(GGUFError, match="cannot be opened" if kind == "missing" else "regular"):
        read_header(path)


def test_the_real_model_has_the_geometry_it_should():
    path = paths.data() / "models" / MODEL
    if not path.is_file():
        pytest.skip("needs the model: run `workbench data get smollm2-135m`")
    header = read_header(path)
    geometry = kv_geometry(header)
    assert (geometry.layers, geometry.kv_heads, geometry.head_dim) == (30, 3, 64)
    assert geometry.bytes_per_token == 23_040
    assert header.architecture == "llama"
    assert len(header.tensors) == 272
    assert header.metadata["tokenizer.ggml.tokens"].count == 49_152
    assert header.tensors[-1].offset + header.tensors[-1].n_bytes == header.file_bytes
    assert header.weight_bytes() == {"Q4_1": 66_355_200, "Q8_0": 30_081_024, "F32": 140_544}
