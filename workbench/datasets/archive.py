"""Take named members out of an archive, bounded in size, under names of our choosing.

Follows: the advice in CPython's `tarfile` and `zipfile` documentation on archives from elsewhere.
Leaves out: unpacking whole archives; nothing here calls `extractall`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from workbench import paths
from workbench.errors import DataError

CHUNK_BYTES = 1 << 20

# What a damaged archive makes the standard library raise; OSError at large may be our own disk.
DAMAGED = (
    EOFError,
    KeyError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def extract_member(
    archive: Path, archive_format: str, member: str, target: Path, n_bytes: int
) -> None:
    """Write one member of an archive to ``target``.

    Parameters
    ----------
    archive : Path         a zip (a wheel is one) or tar.gz file
    archive_format : str   "zip" or "tar.gz"
    member : str           its exact name in the archive
    target : Path          is overwritten
    n_bytes : int          exact size; the member is not read beyond it

    Raises
    ------
    DataError   if there is no such member, or it is of another size.
    """
    opened = _zip_member if archive_format == "zip" else _tar_member
    with opened(archive, member) as source, target.open("wb") as copy:
        left = n_bytes
        while left and (chunk := source.read(min(CHUNK_BYTES, left))):
            copy.write(chunk)
            left -= len(chunk)
        too_long = bool(source.read(1))
    if left or too_long:
        got = f"more than {n_bytes:,}" if too_long else f"{n_bytes - left:,}"
        raise DataError(
            f"{member} in {paths.shown(archive)} holds {got} bytes, the manifest names {n_bytes:,}"
        )


@contextmanager
def _zip_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as source:
            yield source
    except DAMAGED as error:
        raise _unreadable(archive, member, error) from error


@contextmanager
def _tar_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    try:
        with tarfile.open(archive, "r:*") as opened:
            source = opened.extractfile(member)
            if source is None:
                raise KeyError(f"{member!r} is a folder")
            with source:
                yield source
    except DAMAGED as error:
        raise _unreadable(archive, member, error) from error


def _unreadable(archive: Path, member: str, error: Exception) -> DataError:
    return DataError(f"{paths.shown(archive)}: cannot read {member}: {error}")


def repack(archive: Path, members: Mapping[str, str], target: Path, limit_bytes: int) -> None:
    """Write chosen members of a tar archive into a new .tar.xz, without dates or owners.

    Parameters
    ----------
    archive : Path       a tar file of any compression, read once from front to back
    members : mapping    name in the new file -> name in the archive
    target : Path        is overwritten
    limit_bytes : int    most bytes that all members may hold together

    Raises
    ------
    DataError   if members are missing or hold too much.

    Cost    one pass; memory of one member; about 10 s per 100 MB to compress.
    """
    new_names = {member: name for name, member in members.items()}
    left_bytes = limit_bytes
    try:
        with tarfile.open(archive, "r:*") as source, tarfile.open(target, "w:xz") as packed:
            for entry in source:
                name = new_names.get(entry.name) if entry.isfile() else None
                if name is None:
                    continue
                left_bytes -= entry.size
                if left_bytes < 0:
                    raise DataError(
                        f"{paths.shown(archive)}: the members hold more than {limit_bytes:,} bytes"
                    )
                del new_names[entry.name]
                _add(packed, name, _read(source, entry))
    except DAMAGED as error:
        raise _unreadable(archive, "its members", error) from error
    if new_names:
        raise DataError(
            f"{paths.shown(archive)} lacks {len(new_names)} members, the first {min(new_names)}"
        )


def _read(opened: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    source = opened.extractfile(entry)
    return source.read() if source is not None else b""


def _add(packed: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    packed.addfile(entry, io.BytesIO(content))


def contents_sha256(archive: Path, limit_bytes: int) -> str:
    """Return a sha256 over a tar file's members: a line of name, size, sha256 each, sorted.

    Raises
    ------
    DataError   if it cannot be read, or its members hold more than ``limit_bytes`` together.
    """
    lines = []
    left_bytes = limit_bytes
    try:
        with tarfile.open(archive, "r:*") as opened:
            for entry in opened:
                left_bytes -= entry.size
                if left_bytes < 0:
                    raise DataError(
                        f"{paths.shown(archive)} unpacks to more than {limit_bytes:,} bytes"
                    )
                digest = hashlib.sha256(_read(opened, entry) if entry.isfile() else b"").hexdigest()
                lines.append(f"{entry.name} {entry.size} {digest}\n")
    except DAMAGED as error:
        raise _unreadable(archive, "its members", error) from error
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
