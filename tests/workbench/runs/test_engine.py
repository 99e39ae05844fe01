"""Our papermill engine: the bookkeeping is ours, the writes go to one place in one step."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from papermill.iorw import load_notebook_node, papermill_io

from workbench import paths
from workbench.runs import engine
from workbench.runs.engine import Launch
from workbench.runs.progress import CodeCell, Silent
from workbench.runs.stop import Stop, StopRequested


@pytest.fixture
def launch(tmp_path):
    """Return an execution that is never begun."""
    return Launch(
        notebook=tmp_path / "in.ipynb",
        output=tmp_path / "out.ipynb",
        parameters={},
        environment={},
        timeout_s=60,
        stop=Stop(),
        progress=Silent(),
    )


@pytest.fixture
def manager(launch, tmp_path):
    """Return the bookkeeping of a notebook: prose, two code cells, an empty one."""
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("\n# first\nx = 1", metadata={"tags": ["setup", "more"]}),
        new_code_cell("y = 2"),
        new_code_cell("  \n"),
    ]
    nbformat.write(new_notebook(cells=cells), launch.notebook)
    with engine._destination(launch.output) as name:
        made = engine._RunManager(load_notebook_node(str(launch.notebook)), name, launch)
        made.notebook_start()
        yield made


def saved(launch: Launch) -> list[str]:
    notebook = nbformat.read(launch.output, as_version=4)
    return [cell.metadata.papermill.status for cell in notebook.cells]


def test_cells_are_numbered_as_a_reader_counts_them(manager):
    assert manager._cells == {
        1: CodeCell(1, 2, "setup", "\n# first\nx = 1"),
        2: CodeCell(2, 2, "", "y = 2"),
    }
    assert manager._cells[1].first_line == "# first"


def run_cell(manager, index, error=None):
    """Do what papermill's loop does around one cell."""
    cell = manager.nb.cells[index]
    try:
        manager.cell_start(cell, index)
        if error is not None:
            raise error
    finally:
        manager.cell_complete(cell, cell_index=index)


def test_each_cell_is_saved_when_it_is_done(manager, launch):
    assert saved(launch) == ["pending"] * 4
    run_cell(manager, 0)
    run_cell(manager, 1)
    assert saved(launch) == ["completed", "completed", "pending", "pending"]
    assert (launch.cells_done, launch.cells_total) == (1, 2)
    assert launch.cell.number == 1


def test_a_cell_that_raises_is_not_called_completed(manager, launch):
    with pytest.raises(RuntimeError):
        run_cell(manager, 1, RuntimeError("kernel died"))
    manager.notebook_complete()
    assert saved(launch) == ["pending", "failed", "pending", "pending"]
    notebook = nbformat.read(launch.output, as_version=4)
    assert notebook.metadata.papermill.exception is True
    assert launch.cells_done == 0


def test_a_stop_keeps_the_next_cell_from_starting(manager, launch):
    run_cell(manager, 1)
    launch.stop.soon.set()
    with pytest.raises(StopRequested):
        run_cell(manager, 2)
    assert launch.cell.number == 1
    manager.notebook_complete()
    assert saved(launch)[1:3] == ["completed", "pending"]


def test_writes_are_scrubbed_and_complete(launch, tmp_path):
    notebook = new_notebook(cells=[new_code_cell(f"# {paths.root()}/x\n", id="a")])
    notebook.metadata["papermill"] = {"output_path": "/somewhere/else"}
    with engine._destination(launch.output) as name:
        papermill_io.write(nbformat.writes(notebook), name)
        written = json.loads(launch.output.read_text())
    assert written["cells"][0]["source"] == ["# x\n"]
    assert written["metadata"]["papermill"]["output_path"] == "out.ipynb"
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]
    with pytest.raises(KeyError):
        papermill_io.write("{}", name)


def test_a_kernels_own_words_are_kept_only_if_there_are_any(tmp_path):
    engine._keep_log(tmp_path / "none", tmp_path / "kept")
    (tmp_path / "log").write_text("\n")
    engine._keep_log(tmp_path / "log", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    (tmp_path / "log").write_text(f"Fatal: {paths.root()}/kernels/copy.py")
    engine._keep_log(tmp_path / "log", tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "Fatal: kernels/copy.py"
