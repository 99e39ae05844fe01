"""A file server on 127.0.0.1 that can be told to fail, and a manifest that names its files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from workbench.datasets import download, manifest


@dataclass
class FileServer:
    """Files by path, what to do wrong, and what was asked.

    `cuts` holds, for each coming answer, after how many bytes the line goes dead; `statuses` an
    HTTP status to answer instead of the file.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    says_length: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    authorised: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked_range = request.headers.get("Range")
        self.asked.append((request.path, asked_range))
        self.authorised.append(request.headers.get("Authorization"))
        content = self.files.get(request.path)
        if self.statuses or content is None:
            request.send_error(self.statuses.pop(0) if self.statuses else 404)
            return
        start = self._start(asked_range)
        if start >= len(content) and start > 0:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Type", "text/html" if request.path.endswith("/") else "binary")
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.says_length:
            request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(content)
        request.wfile.write(content[start : start + cut])

    def _start(self, asked_range: str | None) -> int:
        if not self.knows_ranges or asked_range is None:
            return 0
        return int(asked_range.removeprefix("bytes=").partition("-")[0])


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Serve files on a free port of 127.0.0.1 for one test."""
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put downloads into the test's own folder, with no mirror and no pause between tries."""
    folder = tmp_path / "data"
    monkeypatch.setenv("WORKBENCH_DATA", str(folder))
    monkeypatch.delenv("WORKBENCH_DATA_MIRROR", raising=False)
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.0)
    return folder


@pytest.fixture
def use_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes a TOML text the manifest of this test."""

    def use(text: str) -> None:
        place = tmp_path / f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.toml"
        place.write_text(text)
        monkeypatch.setattr(manifest, "manifest_path", lambda: place)

    return use


def facts(content: bytes) -> str:
    """Return the manifest lines for a file's content."""
    return f'bytes = {len(content)}\nsha256 = "{hashlib.sha256(content).hexdigest()}"'


def files_manifest(url: str, **files: bytes) -> str:
    """Return a manifest with one data set, `toy`, of single files below an address."""
    text = f'[toy]\nabout = "toy"\nlicence = "MIT"\n[toy.source]\nkind = "files"\nurl = "{url}"\n'
    for name, content in files.items():
        text += f'[[toy.files]]\npath = "toys/{name}.bin"\n{facts(content)}\n'
    return text
