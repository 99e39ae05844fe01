"""Data sets and models by name: `get` fetches and checks them, `path` says where they are.

Follows: data/manifest.toml, which names every file's source, sha256, size and licence.
Leaves out: what the files mean; their readers live with those who use them.
"""

from __future__ import annotations

from pathlib import Path

from workbench import paths
from workbench.datasets.manifest import DataFile, DataSet, find, load
from workbench.datasets.progress import ConsoleProgress, Progress
from workbench.datasets.text import embedded_text
from workbench.errors import DataError

__all__ = [
    "ConsoleProgress",
    "DataFile",
    "DataSet",
    "Progress",
    "embedded_text",
    "find",
    "get",
    "load",
    "path",
    "state",
    "verify",
]


def get(name: str, *, verify: bool = False, progress: Progress | None = None) -> list[Path]:
    """Fetch a data set if it is not there, and return its files in the manifest's order.

    Parameters
    ----------
    name : str                a name of `load`
    verify : bool             hash again what was verified before; wrong files are replaced
    progress : Progress       told of every file; silent by default

    Raises
    ------
    UsageError   if there is no such data set.
    DataError    if it cannot be had, or is not what the manifest says.
    """
    from workbench.datasets.getting import fetch

    data_set = find(name)
    fetch(data_set, verify, progress or Progress())
    return [paths.data() / file.path for file in data_set.files]


def path(name: str, file_name: str | None = None) -> Path:
    """Return where a data set's file is, without fetching it.

    Parameters
    ----------
    name : str        a name of `load`
    file_name : str   which file, by the last part of its path; not needed if there is just one

    Raises
    ------
    UsageError   if there is no such data set.
    DataError    if the file is not there; says how to fetch it.
    """
    data_set = find(name)
    named = {Path(file.path).name: paths.data() / file.path for file in data_set.files}
    wanted = file_name or (next(iter(named)) if len(named) == 1 else "")
    if wanted not in named:
        raise DataError(f"{name} has no file {wanted!r}; name one of {', '.join(named)}")
    found = named[wanted]
    if not found.is_file():
        raise DataError(f"{paths.shown(found)} is not there yet\nfix: workbench data get {name}")
    return found


def state(data_set: DataSet) -> str:
    """Return ``present``, ``partial`` or ``absent``, judged by names and sizes alone."""
    here = [_is_present(file) for file in data_set.files]
    if all(here):
        return "present"
    return "partial" if any(here) else "absent"


def _is_present(file: DataFile) -> bool:
    place = paths.data() / file.path
    # A file packed here compresses to another size than the mirror's.
    return place.is_file() and (file.pack is not None or place.stat().st_size == file.bytes)


def verify(data_set: DataSet) -> list[tuple[DataFile, str]]:
    """Read and hash every file: each with ``ok``, ``absent``, or what is wrong with it."""
    from workbench.datasets.checksum import check

    verdicts = []
    for file in data_set.files:
        place = paths.data() / file.path
        verdict = "absent"
        if place.is_file():
            try:
                check(file, place)
                verdict = "ok"
            except DataError as error:
                verdict = str(error)
        verdicts.append((file, verdict))
    return verdicts
