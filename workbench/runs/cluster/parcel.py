"""Pack a run's folder for its way from a worker to the registry of whoever asked for it.

Follows: `tarfile`'s own advice: nothing is extracted by a name that the archive chose freely; the
folder appears under its final name at once.
Leaves out: sending (Dask does) and deciding when (executor.py of this folder).
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zstandard
from pydantic import ValidationError

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.runs import metrics_file, record, registry
from workbench.runs.publish import sync_folder, write_atomic
from workbench.runs.record import COMPLETE, RunRecord
from workbench.runs.request import LATEST, NOTEBOOK, Run

# A day's folder holds 0.1 to 2 MB; what is larger has figures or outputs that no report could show.
MAX_BYTES = 128 << 20
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_ALWAYS = (record.FILE_NAME, metrics_file.FILE_NAME)


class ParcelError(WorkbenchError):
    """What a worker sent is no run's folder, or not the run's that was asked for."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A run's folder as a worker sends it.

    Attributes
    ----------
    run_id : str        the run's
    content : bytes     its files: a tar archive, compressed by zstandard
    packages : bytes    the list that the run's ``packages_hash`` stands for
    left_bytes : int    size of the files that stayed with the worker, because there is a limit
    """

    run_id: str
    content: bytes
    packages: bytes
    left_bytes: int = 0


def pack(run: Run) -> Parcel:
    """Return the run's folder as a parcel; beyond 128 MB only its record and its metrics.

    Cost    one read of the folder, 3 ms a MB to compress.
    """
    files = {path.name: path for path in sorted(run.folder.iterdir()) if path.is_file()}
    sizes = {name: path.stat().st_size for name, path in files.items()}
    whole = sum(sizes.values()) <= MAX_BYTES
    sent = [name for name in files if whole or name in _ALWAYS]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in sent:
            entry = tarfile.TarInfo(name)
            content = files[name].read_bytes()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return Parcel(
        run.record.run_id,
        zstandard.compress(packed.getvalue()),
        _packages_file(run.record).read_bytes(),
        sum(sizes[name] for name in files if name not in sent),
    )


def publish(parcel: Parcel, day: str, attempts: int) -> Run:
    """Put the run into this process's registry, and return it from there.

    Parameters
    ----------
    parcel : Parcel   of a run that has ended
    day : str         whose run was asked for
    attempts : int    how often it was begun; goes into its record

    Raises
    ------
    ParcelError   if it is no folder of such a run; nothing is published then
    """
    files = unpack(parcel.content)
    sent = _checked(files.pop(record.FILE_NAME, b""), parcel, day)
    changes: dict[str, object] = {"attempts": attempts}
    if parcel.left_bytes:
        stayed = f"{parcel.left_bytes / 1e6:,.0f} MB of its files stayed with the worker"
        changes["reason"] = "; ".join(filter(None, (sent.reason, stayed)))
    arrived = sent.model_copy(update=changes)
    packages = _packages_file(arrived)
    packages.parent.mkdir(parents=True, exist_ok=True)
    if not packages.exists():
        write_atomic(packages, parcel.packages)
    folder = registry.run_folder(arrived)
    content = (arrived.model_dump_json(indent=1) + "\n").encode()
    if folder.exists():  # the worker writes into this very registry
        write_atomic(folder / record.FILE_NAME, content)
    else:
        _publish_folder(folder, {**files, record.FILE_NAME: content})
    if arrived.status in COMPLETE and NOTEBOOK in files:
        write_atomic(folder.parent / LATEST, files[NOTEBOOK])
    return Run(arrived, folder)


def unpack(content: bytes) -> dict[str, bytes]:
    """Return an archive's files by name.

    Raises
    ------
    ParcelError   if it is none, too large, or holds anything but plain files of plain names
    """
    try:
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)) as reader:
            unpacked = reader.read(2 * MAX_BYTES + 1)
        if len(unpacked) > 2 * MAX_BYTES:
            raise ParcelError(f"a worker sent more than {2 * MAX_BYTES:,} bytes for one run")
        files = {}
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            for member in archive:
                source = archive.extractfile(member) if member.isreg() else None
                if source is None or not _PLAIN_NAME.fullmatch(member.name):
                    raise ParcelError(f"a worker sent {member.name!r}, which is no file of a run")
                files[member.name] = source.read()
    except (zstandard.ZstdError, tarfile.TarError, EOFError) as error:
        raise ParcelError(f"what a worker sent cannot be unpacked ({error})") from error
    return files


def _checked(content: bytes, parcel: Parcel, day: str) -> RunRecord:
    try:
        sent = RunRecord.model_validate_json(content)
    except ValidationError as error:
        raise ParcelError(f"a worker sent no readable {record.FILE_NAME}") from error
    same = (sent.run_id, sent.day) == (parcel.run_id, day)
    if not (same and _RUN_ID.fullmatch(sent.run_id)) or sent.status == "running":
        raise ParcelError(
            f"a worker sent run {sent.run_id} of {sent.day} ({sent.status}), "
            f"asked for was a run of {day} that has ended"
        )
    if not re.fullmatch(r"[0-9a-f]{12}", sent.packages_hash):
        raise ParcelError(f"run {sent.run_id} names no list of packages")
    return sent


def _packages_file(run: RunRecord) -> Path:
    return paths.runs() / "packages" / f"{run.packages_hash}.txt"


def _publish_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Let the folder appear whole: one level up, where no run is looked for, until then."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.runs(), prefix=".arriving-") as waiting:
        place = Path(waiting, "run")
        place.mkdir()
        for name, content in files.items():
            write_atomic(place / name, content)
        os.rename(place, folder)
    sync_folder(folder.parent)
