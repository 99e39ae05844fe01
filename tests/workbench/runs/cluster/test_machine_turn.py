"""Taking turns on one machine: one holder at a time, and a killed one holds nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading

import pytest

from workbench.runs.cluster.machine_turn import my_turn
from workbench.runs.stop import Stop

HOLDS = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from workbench.runs.cluster.machine_turn import my_turn
from workbench.runs.stop import Stop
with my_turn(Stop()):
    print("mine", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_next_one_waits_until_the_holder_is_killed(tmp_path):
    entered = threading.Event()

    def wait_for_my_turn() -> None:
        with my_turn(Stop()):
            entered.set()

    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "mine\n"
        waiting = threading.Thread(target=wait_for_my_turn)
        waiting.start()
        assert not entered.wait(0.5)
        holder.send_signal(signal.SIGKILL)
        waiting.join(60)
    assert entered.is_set()


def test_whoever_is_stopped_waits_no_longer():
    stop = Stop()
    stop.soon.set()
    with my_turn(Stop()), my_turn(stop):
        pass  # it is then up to the waiting one to begin nothing


def test_a_link_in_the_common_folder_is_not_followed(tmp_path):
    (tmp_path / "workbench-measuring.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"), my_turn(Stop()):
        pass
    assert not (tmp_path / "elsewhere").exists()
