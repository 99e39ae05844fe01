"""Who runs a notebook. Real front ends are in test_session."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import psutil
import pytest

from workbench.runs import frontend


def in_kernel(monkeypatch, *, allow_stdin: bool) -> None:
    """Let this process look like a kernel whose running cell came from such a front end."""
    parent = {"content": {"allow_stdin": allow_stdin}}
    shell = SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda: parent))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def below(monkeypatch, *commands: list[str]) -> None:
    above = [SimpleNamespace(cmdline=lambda command=command: command) for command in commands]
    monkeypatch.setattr(psutil.Process, "parents", lambda self: above)


@pytest.fixture(autouse=True)
def no_run(monkeypatch):
    monkeypatch.delenv("WORKBENCH_RUN_DIR", raising=False)


def test_a_person_can_be_asked(monkeypatch):
    in_kernel(monkeypatch, allow_stdin=True)
    assert (frontend.interactive(), frontend.source()) == (True, "jupyterlab")


def test_a_run_of_ours_is_never_interactive(monkeypatch, tmp_path):
    in_kernel(monkeypatch, allow_stdin=True)
    monkeypatch.setenv("WORKBENCH_RUN_DIR", str(tmp_path))
    assert (frontend.interactive(), frontend.source()) == (False, "workbench")
    assert frontend.run_folder() == tmp_path


@pytest.mark.parametrize(
    ("command", "source"),
    [
        (["/venv/bin/python", "/venv/bin/papermill", "in.ipynb", "out.ipynb"], "papermill"),
        (["python", "-m", "papermill", "in.ipynb", "out.ipynb"], "papermill"),
        (["python", "sweep_with_papermill.py"], "script"),
        (["vim", "notes.md", "about", "papermill"], "script"),
    ],
)
def test_papermill_is_seen_by_its_command(monkeypatch, command, source):
    in_kernel(monkeypatch, allow_stdin=False)
    below(monkeypatch, ["bash"], command)
    assert (frontend.interactive(), frontend.source()) == (False, source)


def test_a_process_that_cannot_be_looked_at_is_passed_over(monkeypatch):
    def hidden() -> list[str]:
        raise psutil.AccessDenied

    above = [SimpleNamespace(cmdline=hidden)]
    monkeypatch.setattr(psutil.Process, "parents", lambda self: above)
    assert frontend.source() == "script"


def test_plain_python_is_a_script(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    below(monkeypatch)
    assert frontend.shell() is None
    assert frontend.source() == "script"
