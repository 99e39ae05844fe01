"""Tell whether a file is what the manifest says: by sha256 once, by size and mtime from then on.

Follows: the stat cache of git's index.
Leaves out: repair; a wrong file is reported and left where it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from workbench import paths
from workbench.datasets.archive import contents_sha256
from workbench.datasets.manifest import DataFile, DataSet
from workbench.errors import DataError


def sha256(path: Path) -> str:
    """Return a file's sha256 in hexadecimal. Cost: one sequential read, about 1 s per GB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(file: DataFile, path: Path) -> str:
    """Return the file's sha256 after comparing it with the manifest's.

    A packed file made here has other bytes than the manifest's copy of it, but the same members.

    Raises
    ------
    DataError   naming the file, what was expected and what was found.
    """
    found = sha256(path)
    if found == file.sha256:
        return found
    if file.pack is not None and contents_sha256(path, file.pack.bytes) == file.pack.sha256:
        return found
    raise DataError(
        f"{paths.shown(path)} is not what the manifest names: expected {file.bytes:,} bytes with"
        f" sha256 {file.sha256}, got {path.stat().st_size:,} bytes with sha256 {found}"
    )


def _stamp_path(data_set: DataSet) -> Path:
    return paths.data() / ".verified" / f"{data_set.name}.json"


def _stamps(data_set: DataSet) -> dict[str, list[object]]:
    try:
        stamps = json.loads(_stamp_path(data_set).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _stamp(file: DataFile, path: Path) -> list[object]:
    stat = path.stat()
    return [file.sha256, stat.st_size, stat.st_mtime_ns]


def is_verified(data_set: DataSet, file: DataFile) -> bool:
    """Return whether the file is there and unchanged since its sha256 was last compared."""
    path = paths.data() / file.path
    return path.is_file() and _stamps(data_set).get(file.path) == _stamp(file, path)


def remember(data_set: DataSet, file: DataFile) -> None:
    """Note that the file's sha256 was compared just now; call it with the data set's lock held."""
    stamps = _stamps(data_set)
    stamps[file.path] = _stamp(file, paths.data() / file.path)
    target = _stamp_path(data_set)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(stamps), encoding="utf-8")
    os.replace(temporary, target)
