"""Every GGUF value type is read back exactly, alone and in arrays."""

import math

import pytest

from tests.workbench.tiering.gguf_files import ARRAY, GGUFFile, array, scalar, text, u32, u64
from workbench.tiering.mmap_gguf import GGUFError, Skipped, read_header

EXTREMES = {
    "u8": (0, 255),
    "i8": (-128, 127),
    "u16": (0, 65_535),
    "i16": (-32_768, 32_767),
    "u32": (0, 2**32 - 1),
    "i32": (-(2**31), 2**31 - 1),
    "u64": (0, 2**64 - 1),
    "i64": (-(2**63), 2**63 - 1),
    "f32": (-0.5, math.inf),
    "f64": (0.1, -math.inf),
    "bool": (True, False),
}


def read(tmp_path, *pairs):
    return read_header(GGUFFile(pairs=list(pairs)).write(tmp_path / "f.gguf"))


@pytest.mark.parametrize("kind", EXTREMES)
def test_numbers(tmp_path, kind):
    low, high = EXTREMES[kind]
    header = read(
        tmp_path, scalar("a", kind, low), scalar("b", kind, high), array("c", kind, [low, high])
    )
    assert header.metadata == {"a": low, "b": high, "c": (low, high)}
    assert header.fields["a"].kind == kind
    assert header.fields["c"].kind == f"array of {kind}"
    assert type(header.metadata["a"]) is type(low)


@pytest.mark.parametrize("value", ["", "llama", "gr\u00fc\u00df", "a\x00b", "\N{GRINNING FACE}"])
def test_strings(tmp_path, value):
    header = read(tmp_path, scalar("a", "", value), array("b", "string", [value, "x"]))
    assert header.metadata == {"a": value, "b": (value, "x")}


def test_a_field_knows_its_place(tmp_path):
    header = read(tmp_path, scalar("first", "u32", 7), scalar("second", "u32", 8))
    raw = header.path.read_bytes()
    for key, value in (("first", 7), ("second", 8)):
        assert raw[header.fields[key].offset :].startswith(u32(4) + u32(value))


@pytest.mark.parametrize(("count", "kept"), [(0, True), (1024, True), (1025, False)])
def test_arrays_are_kept_up_to_1024_elements(tmp_path, count, kept):
    value = read(tmp_path, array("a", "i32", list(range(count)))).metadata["a"]
    if kept:
        assert value == tuple(range(count))
    else:
        assert isinstance(value, Skipped)
        assert (value.element, value.count, value.n_bytes) == ("i32", count, 4 * count)


def test_what_follows_a_skipped_array_is_read(tmp_path):
    words = ["w" * (i % 7) for i in range(300_000)]
    header = read(tmp_path, array("a", "string", words), scalar("after", "u32", 5))
    assert header.metadata["a"].count == 300_000
    assert header.metadata["after"] == 5


def test_strings_longer_than_the_window_are_passed_over(tmp_path):
    words = ["x" * (3 << 20), "y", "z" * (2 << 20)] + ["w"] * 1100
    header = read(tmp_path, array("a", "string", words), scalar("after", "u32", 5))
    assert header.metadata["a"].n_bytes == sum(8 + len(word) for word in words)
    assert header.metadata["after"] == 5


def test_an_array_of_arrays_is_checked_and_left_in_the_file(tmp_path):
    inner = u32(4) + u64(2) + u32(1) + u32(2)
    nested = text("a") + u32(ARRAY) + u32(ARRAY) + u64(3) + inner * 3
    header = read(tmp_path, nested, scalar("after", "u32", 5))
    assert header.metadata["a"].count == 3
    assert header.metadata["a"].n_bytes == 3 * len(inner)
    assert header.metadata["after"] == 5


def test_a_long_string_is_left_in_the_file(tmp_path):
    header = read(tmp_path, scalar("a", "", "x" * (2 << 20)), scalar("after", "u32", 5))
    value = header.metadata["a"]
    assert isinstance(value, Skipped)
    raw = header.path.read_bytes()[value.offset :][: value.n_bytes]
    assert raw == u64(2 << 20) + b"x" * (2 << 20)
    assert header.metadata["after"] == 5


def test_a_string_over_64_mib_is_refused(tmp_path):
    path = tmp_path / "f.gguf"
    with path.open("wb") as file:
        file.write(GGUFFile(pairs=[text("a") + u32(8) + u64((64 << 20) + 1)]).to_bytes())
        file.truncate(80 << 20)
    with pytest.raises(GGUFError, match="claims 67108865 bytes"):
        read_header(path)
