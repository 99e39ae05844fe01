"""Start JupyterLab for exploring: on 127.0.0.1, with a token, opening one notebook.

Follows: jupyterlab's own options; news, update checks and the extension list stay off, so that
nothing leaves this machine.
Leaves out: what saving does (lab_contents.py); the server's log and questions are Jupyter's own.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench import paths
from workbench.errors import UsageError, WorkbenchError
from workbench.runs.days import get_day

ADDRESS = "127.0.0.1"
FIRST_PORT, N_PORTS = 8888, 50
START_LIMIT_S = 60.0
START_POLL_S, END_POLL_S = 0.1, 1.0
# A server that no longer listens has this long to end: its idle worker threads may never do.
END_LIMIT_S = 3.0

QUIET = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
# Switches off the plugin that asks whether news may be fetched.
SETTINGS = f"--LabApp.app_settings_dir={Path(__file__).with_name('lab_settings')}"
CLEAN = "--ServerApp.contents_manager_class=workbench.runs.lab_contents.CleanContentsManager"


class LabError(WorkbenchError):
    """JupyterLab did not start."""


@dataclass(frozen=True, slots=True)
class Lab:
    """A JupyterLab to start: its command, what its environment adds, where it will listen."""

    command: list[str]
    environment: Mapping[str, str]
    port: int
    url: str


def plan(day: str | None, port: int | None) -> Lab:
    """Return how to start JupyterLab.

    Parameters
    ----------
    day : str or None    the day whose notebook to open; None opens the folder of notebooks
    port : int or None   None takes the first free one from 8888 on

    Raises
    ------
    UsageError   for an unknown day, or a port that is taken.
    """
    page = page_path(day)
    port = free_port() if port is None else require_free(port)
    token = secrets.token_hex(24)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.ip={ADDRESS}"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.root_dir={paths.root()}", *QUIET, SETTINGS, CLEAN]
    command += ["--allow-root"] if os.geteuid() == 0 else []  # in containers one often is
    environment = {
        "JUPYTER_TOKEN": token,  # not on the command line, where every user of the machine sees it
        "WORKBENCH_AUTORELOAD": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    return Lab(command, environment, port, f"http://{ADDRESS}:{port}{page}&token={token}")


def page_path(day: str | None) -> str:
    """Return the path to open: a workspace of its own, reset, shows that notebook alone."""
    folder = f"/lab/workspaces/{day or 'workbench'}/tree/notebooks"
    return f"{folder}/{get_day(day).notebook}?reset" if day else f"{folder}?reset"


def free_port(first: int = FIRST_PORT) -> int:
    """Return the first free port from ``first`` on.

    Raises
    ------
    UsageError   if fifty in a row are taken.
    """
    for port in range(first, first + N_PORTS):
        if _is_free(port):
            return port
    raise UsageError(f"ports {first} to {first + N_PORTS - 1} are taken; name another: --port 9999")


def require_free(port: int) -> int:
    """Return a port that was asked for.

    Raises
    ------
    UsageError   if something else listens there.
    """
    if not _is_free(port):
        raise UsageError(f"port {port} is taken; leave --port out to take a free one")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, port)) == 0


def run(lab: Lab, browser: bool, announce: Callable[[str], None]) -> int:
    """Run JupyterLab to its end and return its exit code.

    Parameters
    ----------
    lab : Lab             from `plan`
    browser : bool        open a browser once the server listens
    announce : callable   told the address once the server listens

    Raises
    ------
    LabError   if it ends, or does not listen, within a minute.
    """
    process = subprocess.Popen(lab.command, env={**os.environ, **lab.environment})
    # Ctrl-C reaches Jupyter too, which asks whether it is meant; a polite kill is passed on.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    passed_on = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        _await_listening(process, lab.port)
        announce(lab.url)
        if browser:
            webbrowser.open(lab.url)
        _await_end(process, lab.port)
    finally:
        process.kill()
        process.wait()
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, passed_on)
    return process.returncode


def _await_listening(process: subprocess.Popen[bytes], port: int) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while not _listens(port):
        if process.poll() is not None:
            raise LabError(
                f"JupyterLab ended with exit code {process.returncode}; its log says why"
            )
        if time.monotonic() > limit:
            raise LabError(f"JupyterLab does not listen after {START_LIMIT_S:.0f} s; see its log")
        time.sleep(START_POLL_S)


def _await_end(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait for the process, but not for one that has closed its port and yet does not end."""
    heard_s = time.monotonic()
    while time.monotonic() - heard_s < END_LIMIT_S:
        try:
            process.wait(END_POLL_S)
            return
        except subprocess.TimeoutExpired:
            heard_s = time.monotonic() if _listens(port) else heard_s
