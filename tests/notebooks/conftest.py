"""JupyterLab by its own command, in folders of the test's own, behind a proxy that listens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SETTINGS = {
    # Cells out of sight stay in the page, so that their outputs can be counted.
    "notebook-extension/tracker": {"windowingMode": "none"},
    # The test edits the parameters cell of the real notebook and must not save it.
    "docmanager-extension/plugin": {"autosave": False},
}


@dataclass(frozen=True)
class RunningLab:
    """Where JupyterLab listens, where its runs land, and what its server wanted from outside."""

    url: str
    runs: Path
    wanted_outside: list[str]


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """Stand where a proxy would, note every request for another machine, and refuse it."""
    wanted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            wanted.append(self.path)
            self.send_error(502)

        do_GET = do_POST = do_HEAD = do_CONNECT = refuse

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}", wanted
        httpd.shutdown()
        thread.join()


def lab_environment(folder: Path, proxy_url: str) -> dict[str, str]:
    for name, settings in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(settings))
    own = {
        "WORKBENCH_RUNS": folder / "runs",
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
    }
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy_url)
    local = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    return {**os.environ, **proxies, **local, **{name: str(path) for name, path in own.items()}}


@pytest.fixture
def lab(
    request: pytest.FixtureRequest, tmp_path: Path, proxy: tuple[str, list[str]]
) -> Iterator[RunningLab]:
    """Run `workbench lab` for one test, on the day that it asks for, else on Day 1."""
    workbench = Path(sys.executable).with_name("workbench")
    with (tmp_path / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [workbench, "lab", getattr(request, "param", "day01"), "--no-browser", "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=lab_environment(tmp_path, proxy[0]),
        )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said, (tmp_path / "lab.log").read_text()
    yield RunningLab(json.loads(said)["url"], tmp_path / "runs", proxy[1])
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(30) == 0
