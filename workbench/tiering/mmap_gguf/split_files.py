"""Open the files that one model is split into, and hold what they say against each other.

Follows: llama.cpp's gguf-split: NAME-00001-of-00003.gguf, with ``split.no`` from 0, ``split.count``
and ``split.tensors.count`` in every file and all other metadata in the first.
Leaves out: mapping the tensors (model_map.py).
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from workbench.tiering.mmap_gguf.header import GGUFHeader, header_of
from workbench.tiering.mmap_gguf.open_file import OpenFile
from workbench.tiering.mmap_gguf.reader import Budget

# Each file takes two descriptors while the model is mapped; usual limits are 256 and 1,024.
_MAX_PARTS = 64
_MAX_TENSORS = 65_536
_PART_NAME = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a model, open, and its header."""

    file: OpenFile
    header: GGUFHeader


def open_parts(path: Path) -> list[Part]:
    """Open a model's only file, or its first one and all others; the caller closes them.

    Parameters
    ----------
    path : Path   a GGUF file; of a split model the one that ends in -00001-of-0000N.gguf

    Raises
    ------
    GGUFError   for anything `read_header` refuses, and for files that are missing, not named as
                parts of one model are, or that disagree about their number, order or tensors

    Cost    one header a file; all of them together stay within the limits of one.
    """
    budget = Budget()
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(OpenFile(path))
        parts = [Part(file, header_of(file, 0, budget))]
        first = parts[0].header
        count = _number(first, "split.count", "u16", 1, _MAX_PARTS) if _is_split(first) else 1
        if count > 1:
            names = _part_names(first, count)
            total = _number(first, "split.tensors.count", "i32", 0, _MAX_TENSORS)
            for number, name in enumerate(names[1:], 1):
                file = opened.enter_context(OpenFile(path.with_name(name)))
                parts.append(Part(file, header_of(file, number, budget)))
                _check_part(parts, count, total)
            _check_tensors(parts, total)
        # Nothing was wrong: they stay open.
        opened.pop_all()
    return parts


def _is_split(header: GGUFHeader) -> bool:
    return "split.count" in header.fields


def _number(header: GGUFHeader, key: str, kind: str, low: int, high: int) -> int:
    field = header.field(key, kind)
    assert isinstance(field.value, int)
    if not low <= field.value <= high:
        raise header.refuse(f"{key} = {field.value} is outside {low}..{high}", field.offset)
    return field.value


def _part_names(first: GGUFHeader, count: int) -> list[str]:
    """Return the files' names; the first one's must say that it is the first of so many."""
    found = _PART_NAME.fullmatch(first.path.name)
    number = _number(first, "split.no", "u16", 0, count - 1)
    place = first.fields["split.no"].offset
    if found is None:
        raise first.refuse(
            f"split.count is {count}, but the file is not named NAME-00001-of-{count:05d}.gguf; "
            "give the files of a split model their names back",
            place,
        )
    names = [f"{found[1]}-{each:05d}-of-{count:05d}.gguf" for each in range(1, count + 1)]
    if number != 0:
        raise first.refuse(f"this is file {number + 1} of {count}; open {names[0]}", place)
    if first.path.name != names[0]:
        raise first.refuse(
            f"split.count is {count} and split.no 0; the file would be called {names[0]}", place
        )
    return names


def _check_part(parts: list[Part], count: int, total: int) -> None:
    """Hold the newest part against what the first one says."""
    header, number = parts[-1].header, len(parts) - 1
    _number(header, "split.count", "u16", count, count)
    _number(header, "split.no", "u16", number, number)
    _number(header, "split.tensors.count", "i32", total, total)
    key = "general.architecture"
    if key in header.fields and header.architecture != parts[0].header.architecture:
        raise header.refuse(f"{key} differs from the first file's", header.fields[key].offset)
    n_tensors = sum(len(part.header.tensors) for part in parts)
    if n_tensors > total:
        raise header.refuse(
            f"with this file there are {n_tensors} tensors; split.tensors.count is {total}",
            header.fields["split.tensors.count"].offset,
        )


def _check_tensors(parts: list[Part], total: int) -> None:
    first, names = parts[0].header, set()
    for part in parts:
        for tensor in part.header.tensors:
            if tensor.name in names:
                raise part.header.refuse(
                    f"tensor {tensor.name!r} is in an earlier file too", tensor.offset
                )
            names.add(tensor.name)
    if len(names) != total:
        raise first.refuse(
            f"split.tensors.count is {total}, the {len(parts)} files hold {len(names)}",
            first.fields["split.tensors.count"].offset,
        )


def close_parts(parts: list[Part]) -> None:
    """Close every file."""
    for part in parts:
        part.file.close()
