"""Write down where compiled kernels lie in memory, so that a sampling profiler can name them.

Follows: Linux' perf map file (tools/perf/Documentation/jit-interface.txt): one line a function,
``START SIZE name`` in hexadecimal, in ``perf-PID.map``; perf itself reads one that lies in /tmp.
Leaves out: Numba's own NUMBA_ENABLE_PROFILING (its wheels carry the listener of Intel's VTune only:
perf and py-spy showed bare addresses with it, too), objects of macOS, and code of a forked parent.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from numba.core.codegen import JITCodeLibrary

FOLDER_VARIABLE = "WORKBENCH_SYMBOL_MAP"

_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little endian
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SYMBOL_TABLE, _FUNCTION, _GLOBAL, _WEAK = 2, 2, 1, 2
_PART = re.compile(r"(\d+)")
# Numba escapes what C++ cannot spell as _xx, but not the underscore itself: "nrt_decref" holds _de.
# So only what stands in a nested function's name is read back.
_ESCAPED = {"_3c": "<", "_3e": ">"}


class Function(NamedTuple):
    """A function of an object file: its section, where in it, how long, and how it is bound."""

    symbol: str
    section: int
    offset: int
    n_bytes: int
    binding: int


def path(folder: Path, pid: int) -> Path:
    """Return where the map of a process lies."""
    return folder / f"perf-{pid}.map"


def start(folder: Path) -> None:
    """Write every function that Numba makes or loads from now on into the folder's map.

    Has to come before Numba's first compilation, which keeps the hooks it finds.

    Cost    0.1 ms a compiled object; nothing where kernels run.
    """
    compiled = JITCodeLibrary._object_compiled_hook
    loaded = JITCodeLibrary._object_getbuffer_hook
    finalize = JITCodeLibrary._finalize_specific
    # Filled while LLVM finishes a library; Numba compiles under one lock.
    objects: list[bytes] = []

    def on_compiled(module: Any, buffer: bytes) -> None:
        objects.append(bytes(buffer))
        compiled(module, buffer)

    def on_loaded(module: Any) -> bytes | None:
        buffer: bytes | None = loaded(module)
        if buffer is not None:
            objects.append(bytes(buffer))
        return buffer

    def on_finalized(library: Any) -> None:
        finalize(library)
        made = [functions(objects.pop()) for _ in range(len(objects))]
        lines = [line for one in made for line in _lines(list(one), library._codegen._engine)]
        with open(path(folder, os.getpid()), "a", encoding="utf-8") as file:
            file.writelines(lines)

    JITCodeLibrary._object_compiled_hook = staticmethod(on_compiled)
    JITCodeLibrary._object_getbuffer_hook = staticmethod(on_loaded)
    JITCodeLibrary._finalize_specific = on_finalized


def _lines(found: list[Function], engine: Any) -> Iterator[str]:
    """Yield a line a function; those that LLVM cannot find by name lie beside one that it can."""
    bases = {}
    for one in found:
        if one.binding == _GLOBAL and one.section not in bases:
            bases[one.section] = engine.get_function_address(one.symbol) - one.offset
    for one in found:
        if one.section in bases:
            address = bases[one.section] + one.offset
        elif one.binding == _WEAK:
            address = engine.get_function_address(one.symbol)
        else:
            continue
        if address:
            yield f"{address:x} {one.n_bytes:x} {plain_name(one.symbol)}\n"


def functions(elf: bytes) -> Iterator[Function]:
    """Yield the functions that an ELF object defines; none of one in another format."""
    if not elf.startswith(_MAGIC):
        return
    (start_of_sections,) = struct.unpack_from("<Q", elf, 0x28)
    _, n_sections = struct.unpack_from("<HH", elf, 0x3A)
    sections = [
        _SECTION.unpack_from(elf, start_of_sections + number * _SECTION.size)
        for number in range(n_sections)
    ]
    for _, kind, _, _, offset, n_bytes, link, *_ in sections:
        if kind != _SYMBOL_TABLE:
            continue
        names = sections[link][4]
        for name, bits, _, section, value, size in _SYMBOL.iter_unpack(
            elf[offset : offset + n_bytes]
        ):
            if bits & 0xF == _FUNCTION and section != 0 and size:
                end = elf.index(b"\0", names + name)
                symbol = elf[names + name : end].decode("ascii", "replace")
                yield Function(symbol, section, value, size, bits >> 4)


def plain_name(symbol: str) -> str:
    """Return ``kernels.copy.nontemporal`` for what Numba makes of it; other symbols as they are.

    What Numba puts between a kernel and Python, or C, is named ``kernels.copy.nontemporal
    (wrapper)``.
    """
    is_wrapper = symbol.startswith("cfunc.")
    parts = _identifiers(symbol.removeprefix("cfunc."))
    if parts[:1] == ["cpython"] and len(parts) > 1:
        is_wrapper, parts = True, parts[1:]
    name = ".".join(parts) or symbol
    return f"{name} (wrapper)" if is_wrapper else name


def _identifiers(symbol: str) -> list[str]:
    """Return the names inside an Itanium-mangled symbol: each stands behind its own length."""
    parts: list[str] = []
    if not symbol.startswith("_Z"):
        return parts
    rest = symbol.removeprefix("_Z").removeprefix("N")
    while length := _PART.match(rest):
        end = length.end() + int(length[1])
        part = rest[length.end() : end]
        for escaped, sign in _ESCAPED.items():
            part = part.replace(escaped, sign)
        parts.append(part)
        rest = rest[end:]
    return parts
