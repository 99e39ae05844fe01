"""Starting JupyterLab: what it is told, which port it takes, and that it ends."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from workbench import paths
from workbench.errors import UsageError
from workbench.runs import lab


def test_it_listens_on_this_machine_only_with_a_token_and_asks_for_nothing() -> None:
    planned = lab.plan("day01", None)
    command = " ".join(planned.command)
    assert "--ServerApp.ip=127.0.0.1" in planned.command
    assert f"--ServerApp.root_dir={paths.root()}" in planned.command
    assert {"--no-browser", "--LabApp.news_url=None", "--LabApp.extension_manager=readonly"} <= set(
        planned.command
    )
    token = planned.environment["JUPYTER_TOKEN"]
    assert len(token) == 48
    assert token not in command
    assert planned.url.endswith(f"?reset&token={token}")
    assert f"http://127.0.0.1:{planned.port}/lab/workspaces/day01/tree/notebooks/" in planned.url
    assert planned.environment["WORKBENCH_AUTORELOAD"] == "1"
    assert lab.plan("day01", None).environment["JUPYTER_TOKEN"] != token


def test_without_a_day_the_folder_opens_and_an_unknown_day_is_refused() -> None:
    assert lab.page_path(None) == "/lab/workspaces/workbench/tree/notebooks?reset"
    with pytest.raises(UsageError, match="day01"):
        lab.plan("day1", None)


def test_a_taken_port_is_stepped_over_unless_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert lab.free_port(port) > port
        with pytest.raises(UsageError, match=f"port {port} is taken"):
            lab.plan(None, port)
    assert lab.require_free(port) == port


SERVER = """
import signal, socket, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
signal.signal(signal.SIGTERM, lambda *_: (server.close(), STUBBORN))
threading.Event().wait()
"""


def stand_in(stubborn: bool) -> lab.Lab:
    """A server that, told to end, closes its port and then ends, or does not."""
    planned = lab.plan(None, None)
    script = SERVER.replace("STUBBORN", "None" if stubborn else "sys.exit(0)")
    return replace(planned, command=[sys.executable, "-c", script, str(planned.port)])


@pytest.mark.parametrize(("stubborn", "code"), [(False, 0), (True, -signal.SIGKILL)])
def test_a_polite_kill_is_passed_on_and_a_server_that_never_ends_is_ended(
    stubborn: bool, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "END_LIMIT_S", 0.2)
    monkeypatch.setattr(lab, "END_POLL_S", 0.05)
    heard: list[str] = []

    def announce(url: str) -> None:
        heard.append(url)
        threading.Timer(0.1, signal.raise_signal, [signal.SIGTERM]).start()

    planned = stand_in(stubborn)
    assert lab.run(planned, browser=False, announce=announce) == code
    assert heard == [planned.url]


def test_a_server_that_does_not_start_is_an_error_with_its_code() -> None:
    broken = replace(lab.plan(None, None), command=[sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(lab.LabError, match="exit code 3"):
        lab.run(broken, browser=False, announce=print)


def test_a_server_that_never_listens_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "START_LIMIT_S", 0.2)
    mute = replace(
        lab.plan(None, None), command=[sys.executable, "-c", "import time; time.sleep(60)"]
    )
    start = time.monotonic()
    with pytest.raises(lab.LabError, match="does not listen"):
        lab.run(mute, browser=False, announce=print)
    assert time.monotonic() - start < 30  # it was ended, not waited for


def test_the_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    broken = replace(lab.plan(None, None), command=[sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(lab.LabError):
        lab.run(broken, browser=False, announce=print)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_the_settings_switch_the_announcements_off() -> None:
    (folder,) = (word for word in lab.plan(None, None).command if "app_settings_dir" in word)
    config = json.loads(Path(folder.partition("=")[2], "page_config.json").read_text())
    assert config["disabledExtensions"] == {"@jupyterlab/apputils-extension:announcements": True}
