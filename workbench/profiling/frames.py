"""Name a sampled frame as a reader knows it: by cell, kernel, module or package, never by a path.

Follows: what flame graphs drown in: import machinery, event loops, C glue between Python calls.
Leaves out: lines; a frame is a function.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from workbench import paths
from workbench.profiling.symbols import SymbolMap

NAMELESS = "without a name"
Kind = Literal["cell", "kernel", "project", "package", "native"]

# Where ipykernel says that a cell is: its process, and the hash of its source.
CELL = re.compile(r"/ipykernel_\d+/(\d+)\.py$")
_PACKAGE = re.compile(r"/(?:site|dist)-packages/([^/]+)")
_ADDRESS = re.compile(r"0x[0-9a-f]+")
# What auditwheel and the linker put behind a library's name.
_LIBRARY = re.compile(r"(-[0-9a-f]{6,})?(\.cpython-[\w-]+)?\.(so|dylib)[\d.]*$")
_STANDARD = Path(sysconfig.get_paths()["stdlib"]).parent


class Frame(NamedTuple):
    """A function as it is shown: what, of where, and which kind of code."""

    name: str
    place: str
    kind: Kind


class Naming(NamedTuple):
    """What names are made from: the notebook's cells by their hash, compiled code by address."""

    cells: Mapping[int, str] = {}
    symbols: SymbolMap = SymbolMap([])


def named(raw: Mapping[str, Any], naming: Naming) -> Frame | None:
    """Return a frame of py-spy's as it is shown; None: nothing to a reader, leave it out."""
    name, file = str(raw.get("name") or "?"), str(raw.get("file") or "?")
    if file.startswith("<frozen") or name.startswith("process "):
        return None  # the import machinery, whose module follows; the command line
    if not file.endswith((".py", ">")):
        return _native(name, file, naming.symbols)
    if cell := CELL.search(file):
        return _of_cell(name, naming.cells.get(int(cell[1]), "a cell"))
    return _python(name, file)


def _of_cell(name: str, cell: str) -> Frame:
    return Frame(cell if name == "<module>" else f"{name} in {cell}", "the notebook", "cell")


def _python(name: str, file: str) -> Frame | None:
    if package := _PACKAGE.search(file):
        top = package[1].removesuffix(".py")
        if top.startswith("__editable__"):
            return None
        return Frame(f"import {top}" if name == "<module>" else name, top, "package")
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(paths.root()):
        place = str(path.relative_to(paths.root()))
        return Frame(f"import {place}" if name == "<module>" else name, place, "project")
    if path.is_relative_to(_STANDARD) or "/lib/python3" in file:
        return Frame("import python" if name == "<module>" else name, "python", "package")
    return Frame(name, path.name, "package")


def _native(name: str, file: str, symbols: SymbolMap) -> Frame:
    library = _LIBRARY.sub("", Path(file).name)
    if _ADDRESS.fullmatch(name):
        kernel = symbols.name(int(name, 16))
        if kernel is not None:
            return Frame(kernel, "compiled by Numba", "kernel")
        if file == "?":
            return Frame(f"code {NAMELESS}", "in no library", "native")
        return Frame(f"{library} {NAMELESS}", library, "native")
    return Frame(name, library, "native")
