"""Print the largest files and functions, for `make check`: places to look for a noun of its own.

Follows: tinygrad's `sz.py`; the sizes to aim for are 60-250 lines a file, 5-15 a function.
Leaves out: failing; size alone is no fault.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

LIMITS = {"files": 400, "functions": 40, "kernels": 60}
SHOWN = 5


class Room(NamedTuple):
    """A file or function: how many lines, and where."""

    n_lines: int
    where: str


def files(root: Path) -> list[Room]:
    """Return every source file, largest first."""
    found = [
        Room(len(path.read_text().splitlines()), str(path.relative_to(root)))
        for path in sources(root)
    ]
    return sorted(found, reverse=True)


def functions(root: Path) -> list[Room]:
    """Return every function, largest first; docstrings count."""
    found = []
    for path in sources(root):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append(Room(n_lines, f"{path.relative_to(root)}:{node.lineno} {node.name}"))
    return sorted(found, reverse=True)


def sources(root: Path) -> list[Path]:
    """Return the project's own Python files."""
    return sorted(path for part in ("kernels", "workbench") for path in (root / part).rglob("*.py"))


def marked(room: Room, limit: int) -> str:
    """Return a line about a room; an exclamation mark says it is past the usual size."""
    return f"  {room.n_lines:4} {'!' if room.n_lines > limit else ' '} {room.where}"


def main(root: Path) -> None:
    """Print the largest rooms."""
    found = files(root)
    print(f"largest of {len(found)} files, {sum(room.n_lines for room in found):,} lines:")
    print("\n".join(marked(room, LIMITS["files"]) for room in found[:SHOWN]))
    print("largest functions:")
    for room in functions(root)[:SHOWN]:
        limit = LIMITS["kernels" if room.where.startswith("kernels") else "functions"]
        print(marked(room, limit))


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[2])
