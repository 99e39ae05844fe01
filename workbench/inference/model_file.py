"""Find the file of the model that was asked for.

Follows: DESIGN section 6: a name of the data manifest, or any local ``.gguf``.
Leaves out: fetching (workbench/datasets) and reading (workbench/tiering/mmap_gguf).
"""

from __future__ import annotations

from pathlib import Path

from workbench import datasets, paths
from workbench.errors import DataError


def model_file(model: str) -> Path:
    """Return the path of a model's GGUF file.

    Parameters
    ----------
    model : str   a name of the data manifest, or a path that ends in ``.gguf``; relative paths
                  start at the checkout

    Raises
    ------
    UsageError   if the name is in no manifest
    DataError    if the file is not there; says how to fetch it
    """
    if not model.endswith(".gguf"):
        return datasets.path(model)
    found = paths.root() / model
    if not found.is_file():
        raise DataError(f"no model file at {paths.shown(found)}; name one that exists")
    return found
