"""Write what the documentation can read off the code: `make docs`; tests/test_house.py compares.

Follows: sqlite-utils' generated reference blocks: docs/cli.md whole, the last section of
docs/structure.md. Leaves out: prose.
"""

from __future__ import annotations

import ast
import html
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADING = "## Every module"
NOTE = "Written by `make docs` from each file's first line."


def cli_reference() -> str:
    """Return the whole command line's help as Markdown."""
    docs = ["-m", "typer", "workbench.cli", "utils", "docs", "--name", "workbench"]
    run = subprocess.run(
        [sys.executable, *docs], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return html.unescape(run.stdout).strip() + "\n"


def module_list() -> str:
    """Return one line for each module: its path and its docstring's first line."""
    lines = [HEADING, "", NOTE]
    folder = None
    for path in modules():
        if path.parent != folder:
            folder = path.parent
            lines += ["", f"### {folder.relative_to(ROOT)}/", ""]
        lines.append(f"- `{path.relative_to(ROOT)}`: {first_line(path)}")
    return "\n".join(lines) + "\n"


def modules() -> Iterator[Path]:
    """Yield every source file, a folder's own before those of folders below it."""
    for part in ("kernels", "workbench"):
        yield from sorted((ROOT / part).rglob("*.py"), key=lambda path: (path.parent, path.name))


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0]


def structure(current: str) -> str:
    """Return docs/structure.md with its list of modules written anew."""
    prose = current.partition(HEADING)[0].rstrip()
    return f"{prose}\n\n{module_list()}"


def main() -> None:
    """Write both files."""
    place = ROOT / "docs" / "structure.md"
    place.write_text(structure(place.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / "docs" / "cli.md").write_text(cli_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
