"""Progress: a bar on a terminal, one line a file in a log, silence by default."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios

import pytest

from workbench.datasets.progress import ConsoleProgress, Progress

SCRIPT = """
from workbench.datasets.progress import ConsoleProgress
progress = ConsoleProgress()
with progress.showing("toy", 4_000_000, 1_000_000):
    progress.advance(3_000_000)
"""


def test_the_default_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.showing("toy", 10):
        progress.advance(10)
    progress.say("nothing")
    assert capfd.readouterr() == ("", "")


def test_a_log_gets_one_line_on_stderr() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    assert run.stderr.startswith("toy: 4.0 MB in ")
    assert run.stderr.count("\n") == 1
    assert "\r" not in run.stderr


def test_a_terminal_gets_a_bar() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    subprocess.run([sys.executable, "-c", SCRIPT], stderr=theirs, check=True)
    shown = os.read(ours, 1 << 16).decode()
    os.close(theirs)
    os.close(ours)
    assert "\r" in shown
    assert "4.00M" in shown


def test_a_file_is_finished_when_its_transfer_fails(capfd: pytest.CaptureFixture[str]) -> None:
    progress = ConsoleProgress()
    with pytest.raises(RuntimeError, match="cut"), progress.showing("toy", 10):
        raise RuntimeError("cut")
    assert "toy: 0.0 MB" in capfd.readouterr().err
