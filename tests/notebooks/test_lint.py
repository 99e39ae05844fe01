"""Every committed notebook keeps the house style: short cells, tags, no outputs, no functions."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from workbench import paths
from workbench.runs.days import DAYS, EXPERIMENTS
from workbench.runs.params import parameters_cell

ALL = (*DAYS.values(), *EXPERIMENTS.values())
NOTEBOOKS = sorted(paths.notebooks().glob("*.ipynb"))
MOST_CELLS, MOST_LINES = 25, 12
MAY_IMPORT = {"workbench", "polars", "altair"}
METADATA = {"kernelspec", "language_info"}
ONCE, SOME = ("parameters", "setup", "verdict"), ("chart",)
A_FILE = re.compile(r"^(?:[./~]|[A-Za-z]:\\)|\.(?:json|csv|parquet|gguf|ipynb|bin|txt|html|toml)$")

Cell = nbformat.NotebookNode


def code_cells(notebook: nbformat.NotebookNode) -> list[Cell]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: Cell) -> list[str]:
    return list(cell.metadata.get("tags", []))


def problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Return every breach, each with the number of its cell."""
    found = [*shape(notebook), *order(notebook), *metadata(notebook)]
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            breaches = [*left_behind(cell), *syntax(cell)]
            breaches += one_assignment_a_line(cell) if "parameters" in tags(cell) else []
            found += [f"cell {number}: {breach}" for breach in breaches]
    return found


def shape(notebook: nbformat.NotebookNode) -> list[str]:
    found = []
    if len(notebook.cells) > MOST_CELLS:
        found.append(f"{len(notebook.cells)} cells, at most {MOST_CELLS}")
    for number, cell in enumerate(notebook.cells):
        n_lines = len(cell.source.splitlines())
        if cell.cell_type == "code" and n_lines > MOST_LINES:
            found.append(f"cell {number}: {n_lines} lines of code, at most {MOST_LINES}")
    return found


def order(notebook: nbformat.NotebookNode) -> list[str]:
    """Hypothesis first, then parameters and set-up, a conclusion last; each tag where it is due."""
    kinds = [cell.cell_type for cell in notebook.cells]
    given = [tag for cell in notebook.cells for tag in tags(cell)]
    counts = {tag: given.count(tag) for tag in ONCE}
    found = [f"{n} cells tagged {tag}, one is due" for tag, n in counts.items() if n != 1]
    found += [f"no cell tagged {tag}" for tag in SOME if tag not in given]
    if kinds[:3] != ["markdown", "code", "code"]:
        found.append("must begin with the question, the parameters and the set-up")
    elif (*tags(notebook.cells[1])[:1], *tags(notebook.cells[2])[:1]) != ("parameters", "setup"):
        found.append("cells 1 and 2 must be tagged parameters and setup")
    if kinds and kinds[-1] != "markdown":
        found.append("must end with what was learned")
    return found


def metadata(notebook: nbformat.NotebookNode) -> list[str]:
    found = [f"metadata {key}" for key in notebook.metadata if key not in METADATA]
    if "version" in notebook.metadata.get("language_info", {}):
        found.append("names one machine's Python version")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel must be python3")
    return found


def left_behind(cell: Cell) -> list[str]:
    found = ["has outputs"] if cell.outputs else []
    found += ["has an execution count"] if cell.execution_count is not None else []
    return found + [f"metadata {key}" for key in cell.metadata if key not in {"tags", "slideshow"}]


def syntax(cell: Cell) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(f"defines {node.name}; it belongs into the library")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"print", "display"}:
            found.append("prints; d.table and d.show are for that")
        elif isinstance(node, ast.Constant) and A_FILE.search(str(node.value)):
            found.append(f"names a file: {node.value!r}")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            foreign = imported(node) - MAY_IMPORT
            found += [f"imports {name}" for name in sorted(foreign)]
    return found


def imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return {alias.name.partition(".")[0] for alias in node.names}


def one_assignment_a_line(cell: Cell) -> list[str]:
    """Papermill's inspector drops a line with two equals signs, wherever the second one is."""
    lines = [line for line in cell.source.splitlines() if line and not line.startswith("#")]
    return [f"{line.count('=')} '=' in: {line}" for line in lines if line.count("=") != 1]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    path: Path = request.param
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def test_the_notebook_keeps_the_house_style(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    assert problems(notebook) == []


def test_every_day_has_its_notebook_and_every_notebook_its_day() -> None:
    assert [path.name for path in NOTEBOOKS] == sorted(day.notebook for day in ALL)


@pytest.mark.parametrize("day", ALL, ids=lambda day: day.name)
def test_the_parameters_cell_is_the_models(day) -> None:
    found = nbformat.read(paths.notebooks() / day.notebook, as_version=nbformat.NO_CONVERT)
    (cell,) = (cell for cell in code_cells(found) if "parameters" in tags(cell))
    assert cell.source == parameters_cell(day.params), f"workbench params {day.name} --sync"


def good() -> nbformat.NotebookNode:
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell("# Day")]
    for tag, source in (
        ("parameters", "seed: int = 0  # seed"),
        ("setup", 'from workbench import day\nd = day.open("day01", locals())'),
        ("chart", "d.show(1)"),
        ("verdict", 'd.verdict(claim=">= 2x at 4 GB/s")'),
    ):
        cells.append(v4.new_code_cell(source, metadata={"tags": [tag]}))
    cells.append(v4.new_markdown_cell("learned"))
    return v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


def test_a_good_notebook_has_no_problems() -> None:
    assert problems(good()) == []


@pytest.mark.parametrize(
    ("source", "breach"),
    [
        ("def area(): pass", "cell 3: defines area; it belongs into the library"),
        ("class Area: pass", "cell 3: defines Area; it belongs into the library"),
        ("print(1)", "cell 3: prints; d.table and d.show are for that"),
        ("import numpy as np", "cell 3: imports numpy"),
        ("from kernels.copy import KERNEL", "cell 3: imports kernels"),
        ('x = "/data/file"', "cell 3: names a file: '/data/file'"),
        ('x = "trace.jsonl.csv"', "cell 3: names a file: 'trace.jsonl.csv'"),
        ("\n".join("x" * 13), "cell 3: 13 lines of code, at most 12"),
    ],
)
def test_each_breach_of_a_cell_is_named(source: str, breach: str) -> None:
    notebook = good()
    notebook.cells[3].source = source
    assert problems(notebook) == [breach]


def test_each_breach_of_the_whole_is_named() -> None:
    notebook = good()
    notebook.cells[1].source = 'name: str = "a=b"'
    notebook.cells[2].execution_count = 1
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="x")]
    notebook.cells[3].metadata = {"trusted": True}
    notebook.cells[4].metadata = {"tags": []}
    notebook.cells += [nbformat.v4.new_code_cell("1")] * 20
    notebook.metadata = {"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}}
    assert problems(notebook) == [
        "26 cells, at most 25",
        "0 cells tagged verdict, one is due",
        "no cell tagged chart",
        "must end with what was learned",
        "metadata widgets",
        "names one machine's Python version",
        "its kernel must be python3",
        "cell 1: 2 '=' in: name: str = \"a=b\"",
        "cell 2: has an execution count",
        "cell 3: has outputs",
        "cell 3: metadata trusted",
    ]
