"""Take files from a folder that is laid out like data/, for networks that reach nothing else.

Leaves out: trust; a mirror's file must have the manifest's sha256 like any other.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from workbench import paths
from workbench.datasets.incoming import part_path, publish, require_space
from workbench.datasets.manifest import DataFile, DataSet
from workbench.datasets.progress import Progress
from workbench.errors import DataError


def folder() -> Path | None:
    """Return the folder that WORKBENCH_DATA_MIRROR names, seen from here or from the checkout.

    Returns
    -------
    folder : Path or None   None when the variable is unset or empty

    Raises
    ------
    DataError   if the variable names no folder.
    """
    named = os.environ.get("WORKBENCH_DATA_MIRROR")
    if not named:
        return None
    for place in (Path(named), paths.root() / named):
        if place.is_dir():
            return place
    raise DataError(
        f"WORKBENCH_DATA_MIRROR names no folder: {named!r}\nfix: correct it or unset it"
    )


def take(data_set: DataSet, file: DataFile, progress: Progress) -> bool:
    """Copy the file from the mirror folder if it holds one; return whether it did.

    Raises
    ------
    DataError   if the mirror's file is not what the manifest says; nothing is kept then.
    """
    place = folder()
    if place is None or not (place / file.path).is_file():
        return False
    require_space(file.bytes)
    part = part_path(file.sha256, "copy")
    with progress.showing(f"{file.path} from the mirror", file.bytes):
        shutil.copyfile(place / file.path, part)
        progress.advance(part.stat().st_size)
    try:
        publish(data_set, file, part)
    except DataError as error:
        raise DataError(
            f"the mirror's {file.path}: {error}; nothing was kept\n"
            "fix: replace it in the mirror folder, or unset WORKBENCH_DATA_MIRROR"
        ) from error
    return True
