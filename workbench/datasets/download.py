"""Download one file so that a cut line costs only the bytes still missing.

Follows: HTTP range requests (RFC 9110, section 14) and curl's ``--continue-at -``.
Leaves out: what the bytes must be and their final name (getting.py); here a ``.part`` is filled.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests

from workbench.datasets.progress import Progress
from workbench.errors import DataError

CHUNK_BYTES = 1 << 16  # a cut line loses the chunk in flight
TIMEOUTS_S = (10, 60)  # to connect, between two chunks
MOST_FRUITLESS_TRIES = 5  # in a row: a try that brought bytes starts the count again
RETRY_STATUSES = (408, 429, 500, 502, 503, 504)
FIRST_PAUSE_S = 0.5


class _Interrupted(Exception):
    """One try ended early; another may go on where it stopped."""


def new_session(cert: str | None = None, proxy: str | None = None) -> requests.Session:
    """Return a session that also honours a certificate bundle and a proxy from pip's settings."""
    session = requests.Session()
    # Ranges count bytes of the file itself, so it must come uncompressed.
    session.headers["Accept-Encoding"] = "identity"
    session.headers["User-Agent"] = "workbench-data"
    if cert:
        session.verify = cert
    if proxy:
        session.proxies = {"http": proxy, "https": proxy}
    return session


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to download.

    Attributes
    ----------
    label : str            what to call it
    url : str              http(s) or file address
    n_bytes : int          its size; a longer file is refused, however long the server says it is
    sha256 : str or None   what it must be; None if only its members are known
    """

    label: str
    url: str
    n_bytes: int
    sha256: str | None


def download(remote: Remote, part: Path, session: requests.Session, progress: Progress) -> None:
    """Append to ``part`` what it lacks; return when the server says that it is whole.

    Parameters
    ----------
    remote : Remote      what to download
    part : Path          may hold the first bytes already; keeps what arrived when this raises
    session : Session    carries certificates, proxies and credentials
    progress : Progress  told of every chunk

    Raises
    ------
    DataError   if the server refuses, sends too much, or brings nothing new five times in a row.
    """
    if urlsplit(remote.url).scheme == "file":
        shutil.copyfile(url2pathname(urlsplit(remote.url).path), part)
        progress.advance(part.stat().st_size)
        return
    fruitless = 0
    while True:
        before = _size(part)
        try:
            _one_try(remote, part, session, progress)
            return
        except (requests.RequestException, _Interrupted) as error:
            fruitless = 0 if _size(part) > before else fruitless + 1
            if fruitless == MOST_FRUITLESS_TRIES:
                raise DataError(
                    f"{shown_url(remote.url)} stays silent, {fruitless} tries: {_reason(error)}\n"
                    f"fix: run the same command again, it goes on after {_size(part):,} bytes; on a"
                    " closed network put the file into a folder named by WORKBENCH_DATA_MIRROR"
                ) from error
            time.sleep(FIRST_PAUSE_S * 2**fruitless)


def _one_try(remote: Remote, part: Path, session: requests.Session, progress: Progress) -> None:
    have_bytes = _size(part)
    headers = {"Range": f"bytes={have_bytes}-"} if have_bytes else {}
    with session.get(remote.url, headers=headers, stream=True, timeout=TIMEOUTS_S) as response:
        if response.status_code == 416 and _whole_size(response) == have_bytes:
            return
        if response.status_code == 416:
            part.unlink()
            raise _Interrupted("the server's file is shorter than what was kept")
        _refuse_errors(remote.url, response)
        resumed = response.status_code == 206 and _range_start(response) == have_bytes
        if have_bytes and not resumed:  # the server sends it from the start: so do we
            progress.advance(-have_bytes)
        with _opened(part, append=resumed) as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                if file.tell() + len(chunk) > remote.n_bytes:
                    raise DataError(
                        f"{shown_url(remote.url)} sends more than the {remote.n_bytes:,} bytes that"
                        " the manifest names; nothing was kept\n"
                        "fix: correct the manifest if the source has changed"
                    )
                file.write(chunk)
                progress.advance(len(chunk))


@contextmanager
def _opened(part: Path, append: bool) -> Iterator[IO[bytes]]:
    """Open the part; when the source turns out wrong, not merely slow, it does not stay behind."""
    with part.open("ab" if append else "wb") as file:
        try:
            yield file
        except DataError:
            part.unlink()
            raise


def _refuse_errors(url: str, response: requests.Response) -> None:
    if response.status_code in RETRY_STATUSES:
        raise _Interrupted(f"HTTP status {response.status_code}")
    if response.status_code not in (200, 206):
        raise DataError(
            f"{shown_url(url)} answers HTTP status {response.status_code} {response.reason}\n"
            "fix: check the network's access rules, or put the file into a folder named by"
            " WORKBENCH_DATA_MIRROR"
        )


def _range_start(response: requests.Response) -> int:
    """Return a 206 answer's first byte (``Content-Range: bytes 100-199/200``), -1 when unsaid."""
    span = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(span) if span.isdigit() else -1


def _whole_size(response: requests.Response) -> int:
    """Return the file's size from a 416 answer (``Content-Range: bytes */200``), -1 when unsaid."""
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(size) if size.isdigit() else -1


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: Exception) -> str:
    """Return the innermost cause in one line: the outer ones name sockets and pools."""
    while error.__context__ is not None and isinstance(error.__context__, Exception):
        error = error.__context__
    return f"{type(error).__name__}: {error}".splitlines()[0]


def shown_url(url: str) -> str:
    """Return an address as it may be printed: without user, password and query."""
    parts = urlsplit(url)
    host = f"{parts.hostname or ''}:{parts.port}" if parts.port else (parts.hostname or "")
    return f"{parts.scheme}://{host}{parts.path}"
