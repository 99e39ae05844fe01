"""Ctrl-C once, twice, and in the middle of real runs."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from workbench.runs import execute, registry
from workbench.runs.progress import Silent
from workbench.runs.request import Request
from workbench.runs.stop import Stop, StopRequested


def test_once_is_soon_and_twice_is_now(capfd):
    killed = []
    with Stop() as stop:
        stop.on_now(lambda: killed.append("first"))
        stop.check()
        os.kill(os.getpid(), signal.SIGINT)
        assert (stop.soon.is_set(), stop.now.is_set()) == (True, False)
        assert "press Ctrl-C again" in capfd.readouterr().err
        with pytest.raises(StopRequested):
            stop.check()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.now.is_set()
        assert killed == ["first"]
        stop.on_now(lambda: killed.append("late"))
        assert killed == ["first", "late"]


def test_sigterm_does_not_wait():
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.now.is_set()


def test_what_has_ended_is_not_killed():
    killed = []
    stop = Stop()
    kill = lambda: killed.append(1)  # noqa: E731 - its identity matters
    stop.on_now(kill)
    stop.forget(kill)
    stop.stop_now()
    assert killed == []


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Stop():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_outside_the_main_thread_it_only_listens_to_itself():
    seen = []

    def work() -> None:
        with Stop() as stop:
            stop.stop_now()
            seen.append(stop.now.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]


class PressesCtrlC(Silent):
    """A user who presses Ctrl-C as the cell tagged ``slow`` starts, and again a while later."""

    def __init__(self, times: int) -> None:
        self.times = times

    def begin(self, cell):
        if cell.tag == "slow":
            os.kill(os.getpid(), signal.SIGINT)
            if self.times == 2:
                threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_ctrl_c_finishes_the_cell_and_leaves_a_row(make_day, runs_folder, data_folder, tmp_path):
    done, never = tmp_path / "done", tmp_path / "never"
    day = make_day(
        f"[slow] open({str(done)!r}, 'w').close()",
        f"open({str(never)!r}, 'w').close()",
    )
    with Stop() as stop:
        run = execute.run(Request(day, day.params()), stop, PressesCtrlC(times=1))
    assert done.exists()
    assert not never.exists()
    assert (run.record.status, run.record.exit_code) == ("interrupted", 130)
    assert run.record.reason == "stopped by its user, after cell 3 [slow]"
    assert (run.record.cells_done, run.record.cells_total) == (3, 4)
    assert registry.runs() == [run.record]


def test_ctrl_c_twice_stops_at_once_and_leaves_a_row(make_day, runs_folder, data_folder):
    day = make_day("[slow] import time; time.sleep(300)", "x = 1")
    with Stop() as stop:
        run = execute.run(Request(day, day.params()), stop, PressesCtrlC(times=2))
    assert (run.record.status, run.record.exit_code) == ("interrupted", 130)
    assert run.record.reason == "stopped at once by its user, in cell 3 [slow]"
    assert run.record.failed_cell.number == 3
    assert registry.runs() == [run.record]
    assert run.notebook.exists()
