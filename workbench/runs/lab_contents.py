"""Save the committed notebooks without what running them leaves behind, so that git stays clean.

Follows: nbstripout, at the moment of saving; the page in the browser keeps its outputs.
Leaves out: notebooks outside notebooks/, which are saved as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

FOLDER = "notebooks/"
KEPT_OF_CELL = {"tags", "slideshow"}
KEPT_OF_NOTEBOOK = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
}


def strip_on_save(model: dict[str, Any], path: str, contents_manager: Any) -> None:
    """Take outputs, counts and traces of this machine out of a notebook about to be saved."""
    if model["type"] != "notebook" or not path.lstrip("/").startswith(FOLDER):
        return
    notebook = model["content"]
    for cell in notebook["cells"]:
        kept = {key: value for key, value in cell["metadata"].items() if key in KEPT_OF_CELL}
        cell["metadata"] = kept
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    notebook["metadata"] = _metadata_on_disk(Path(contents_manager.root_dir, path.lstrip("/")))


def _metadata_on_disk(path: Path) -> dict[str, Any]:
    """Return the metadata it was committed with, so that no kernel's version gets into it."""
    if not path.exists():
        return dict(KEPT_OF_NOTEBOOK)
    metadata: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    return metadata


class CleanContentsManager(AsyncLargeFileManager):
    """Jupyter's own contents manager with that one hook."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register_pre_save_hook(strip_on_save)  # type: ignore[no-untyped-call]
