"""Saving from JupyterLab: committed notebooks lose what running left, others keep it."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
import requests

from workbench import paths
from workbench.runs import lab
from workbench.runs.lab_contents import CleanContentsManager

METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def ran() -> Any:
    """A notebook as the browser sends it after a run."""
    notebook = nbformat.v4.new_notebook(
        metadata={**METADATA, "language_info": {"name": "python", "version": "3.11.7"}}
    )
    cell = nbformat.v4.new_code_cell("1 + 1", execution_count=3)
    cell.metadata = {"tags": ["chart"], "execution": {"iopub.status.busy": "now"}, "trusted": True}
    cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "2"})]
    notebook.cells = [nbformat.v4.new_markdown_cell("# Day"), cell]
    return notebook


def save(root: Path, path: str) -> dict[str, Any]:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    manager = CleanContentsManager(root_dir=str(root))
    model = {"type": "notebook", "format": "json", "content": ran()}
    asyncio.run(manager.save(model, path))
    saved: dict[str, Any] = json.loads((root / path).read_text())
    return saved


def test_a_committed_notebook_is_saved_clean(tmp_path: Path) -> None:
    saved = save(tmp_path, "notebooks/day.ipynb")
    code = saved["cells"][1]
    assert (code["outputs"], code["execution_count"]) == ([], None)
    assert code["metadata"] == {"tags": ["chart"]}
    assert saved["metadata"] == METADATA


def test_the_metadata_it_was_committed_with_stays(tmp_path: Path) -> None:
    committed = nbformat.v4.new_notebook(metadata={"title": "kept"})
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/day.ipynb").write_text(nbformat.writes(committed))
    assert save(tmp_path, "notebooks/day.ipynb")["metadata"] == {"title": "kept"}


def test_saving_twice_changes_nothing(tmp_path: Path) -> None:
    save(tmp_path, "notebooks/day.ipynb")
    manager = CleanContentsManager(root_dir=str(tmp_path))
    before = (tmp_path / "notebooks/day.ipynb").read_bytes()
    model = asyncio.run(manager.get("notebooks/day.ipynb"))
    asyncio.run(
        manager.save({key: model[key] for key in ("type", "format", "content")}, model["path"])
    )
    assert (tmp_path / "notebooks/day.ipynb").read_bytes() == before


def test_the_server_that_the_lab_starts_saves_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    planned = lab.plan(None, None)
    command = [
        word.replace(str(paths.root()), str(tmp_path)) if "root_dir" in word else word
        for word in planned.command
    ]

    def put(url: str) -> None:
        address = f"{url.split('/lab')[0]}/api/contents/notebooks/day.ipynb"
        model = {"type": "notebook", "format": "json", "content": ran()}
        token = {"Authorization": f"token {planned.environment['JUPYTER_TOKEN']}"}
        answer = requests.put(address, json=model, headers=token, timeout=20)
        assert answer.ok, answer.text
        signal.raise_signal(signal.SIGTERM)

    assert lab.run(replace(planned, command=command), browser=False, announce=put) == 0
    saved = json.loads((tmp_path / "notebooks/day.ipynb").read_text())
    assert saved["cells"][1]["outputs"] == []


@pytest.mark.parametrize("path", ["mine/day.ipynb", "day.ipynb"])
def test_notebooks_elsewhere_keep_their_outputs(path: str, tmp_path: Path) -> None:
    assert save(tmp_path, path)["cells"][1]["execution_count"] == 3
