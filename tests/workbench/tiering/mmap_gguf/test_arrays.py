"""Arrays read on demand: what the header passed over, and refusals when the file is another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.workbench.tiering.gguf_files import GGUFFile, array, text, u32, u64
from workbench.tiering.mmap_gguf import GGUFError, GGUFHeader, Skipped, read_header
from workbench.tiering.mmap_gguf.arrays import read_numbers, read_strings

STRINGS = [f"t\u00f6ken{index}" for index in range(3000)]


def header(folder: Path, *pairs: bytes) -> GGUFHeader:
    return read_header(GGUFFile(pairs=list(pairs)).write(folder / "arrays.gguf"))


def test_long_arrays_are_read_from_the_file(tmp_path: Path) -> None:
    numbers = [index - 1000 for index in range(3000)]
    found = header(
        tmp_path,
        array("s", "string", STRINGS),
        array("i", "i32", numbers),
        array("f", "f32", [number / 4 for number in numbers]),
    )
    assert all(isinstance(value, Skipped) for value in found.metadata.values())
    assert read_strings(found, "s") == STRINGS
    assert read_numbers(found, "i", "i32").tolist() == numbers
    assert read_numbers(found, "f", "f32").tolist() == [number / 4 for number in numbers]
    assert read_numbers(found, "f", "f32").dtype == "float32"


def test_short_arrays_are_in_the_header(tmp_path: Path) -> None:
    found = header(tmp_path, array("s", "string", ["a", ""]), array("u", "u32", [1, 4_000_000_000]))
    assert read_strings(found, "s") == ["a", ""]
    assert read_numbers(found, "u", "u32").tolist() == [1, 4_000_000_000]


def test_another_type_or_a_missing_key_is_refused(tmp_path: Path) -> None:
    found = header(tmp_path, array("s", "string", STRINGS), array("b", "i8", [1, 2]))
    with pytest.raises(GGUFError, match="s is array of string, expected array of f32"):
        read_numbers(found, "s", "f32")
    with pytest.raises(GGUFError, match="b is array of i8, expected array of i32"):
        read_numbers(found, "b", "i32")
    with pytest.raises(GGUFError, match="b is array of i8, expected array of string"):
        read_strings(found, "b")
    with pytest.raises(GGUFError, match="no is missing"):
        read_strings(found, "no")


def test_what_is_no_utf8_is_refused_at_its_byte(tmp_path: Path) -> None:
    raw = b"".join(text(string) for string in STRINGS[:-1]) + text(b"ab\xff")
    found = header(tmp_path, text("s") + u32(9) + u32(8) + u64(len(STRINGS)) + raw)
    with pytest.raises(GGUFError, match="not UTF-8") as refused:
        read_strings(found, "s")
    assert found.path.read_bytes()[refused.value.offset] == 0xFF


def test_an_array_too_large_to_be_a_vocabulary_is_refused(tmp_path: Path) -> None:
    n_bytes = 33 << 20
    head = text("s") + u32(9) + u32(4) + u64(n_bytes // 4)
    path = tmp_path / "large.gguf"
    path.write_bytes(GGUFFile(pairs=[head]).header())
    os.truncate(path, path.stat().st_size + n_bytes + 64)
    with pytest.raises(GGUFError, match="33554432 are allowed"):
        read_numbers(read_header(path), "s", "u32")


@pytest.mark.parametrize("change", ["shorter", "gone", "pipe", "lengths"])
def test_a_file_that_changed_since_is_refused(tmp_path: Path, change: str) -> None:
    found = header(tmp_path, array("s", "string", STRINGS))
    raw = found.path.read_bytes()
    if change == "shorter":
        os.truncate(found.path, len(raw) - 1)
    elif change == "lengths":
        found.path.write_bytes(raw.replace(text(STRINGS[1500]), u64(1 << 63) + bytes(10)))
    else:
        found.path.unlink()
    if change == "pipe":
        os.mkfifo(found.path)
    with pytest.raises(GGUFError, match="cannot be opened" if change == "gone" else "changed"):
        read_strings(found, "s")
