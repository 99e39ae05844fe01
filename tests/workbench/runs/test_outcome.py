"""How a run ended, from what was seen. The real kernels are in test_execute and test_stop."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell
from papermill.exceptions import PapermillExecutionError

from workbench.runs import outcome
from workbench.runs.engine import Launch
from workbench.runs.kernel import KernelWatch
from workbench.runs.progress import CodeCell, Silent
from workbench.runs.session_report import SessionReport
from workbench.runs.stop import Stop, StopRequested

CELL = CodeCell(3, 5, "measure", "x = 1\ny = 2")


class Ended(KernelWatch):
    """A kernel that has ended with a status and a peak."""

    def __init__(self, status: int, peak_rss_bytes: int = 2**30) -> None:
        super().__init__()
        self.status = status
        self.peak_rss_bytes = peak_rss_bytes
        self.least_available_bytes = psutil.virtual_memory().total

    def exit_status(self) -> int:
        return self.status


def launched(watch: KernelWatch | None = None, *, done: int = 2) -> Launch:
    return Launch(
        notebook=Path("in.ipynb"),
        output=Path("out.ipynb"),
        parameters={},
        environment={},
        timeout_s=90,
        stop=Stop(),
        progress=Silent(),
        watch=watch or KernelWatch(),
        cell=CELL,
        cells_total=5,
        cells_done=done,
    )


def raised(ename: str, evalue: str) -> PapermillExecutionError:
    return PapermillExecutionError(2, 3, CELL.source, ename, evalue, [])


def timed_out(message: str) -> CellTimeoutError:
    return CellTimeoutError.error_from_timeout_and_cell(message, 90, new_code_cell(CELL.source))


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (raised("KeyError", "'a'"), "failed", "KeyError: 'a'"),
        (raised("E", "long\n\n  last line \n"), "failed", "E: last line"),
        (raised("AssertionError", ""), "failed", "AssertionError"),
        (
            raised("SystemExit", "3"),
            "failed",
            "the notebook stopped at cell 3 [measure] before its end (exit code 3)",
        ),
        (timed_out("Cell execution timed out"), "timed_out", "cell 3 [measure] took longer than"),
        (timed_out("Timeout waiting for IOPub output"), "timed_out", "the output of cell 3"),
        (RuntimeError("Kernel died\nbefore"), "failed", "RuntimeError: before"),
        (None, "failed", "the notebook stopped at cell 3 [measure] before its end"),
    ],
)
def test_what_was_raised_is_told_with_its_cell(error, status, reason):
    ended = outcome.judge(error, launched(), None, contended=False)
    assert ended.status == status
    assert ended.reason.startswith(reason)
    told = ended.failed_cell
    assert (told.number, told.tag, told.first_line) == (3, "measure", "x = 1")


@pytest.mark.parametrize(
    ("exit_status", "status", "reason"),
    [
        (-signal.SIGSEGV, "killed", "the kernel was killed by SIGSEGV in cell 3 [measure]"),
        (1, "killed", "the kernel ended with exit code 1 in cell 3 [measure]"),
        (0, "failed", "the notebook stopped at cell 3 [measure] before its end (the kernel"),
    ],
)
def test_a_dead_kernel_is_told_by_its_exit_status(exit_status, status, reason):
    ended = outcome.judge(DeadKernelError(), launched(Ended(exit_status)), None, contended=False)
    assert (ended.status, ended.failed_cell.number) == (status, 3)
    assert ended.reason.startswith(reason)
    assert "out of memory" not in ended.reason


def test_out_of_memory_is_named_only_where_it_is_likely():
    total = psutil.virtual_memory().total
    held_most = Ended(-signal.SIGKILL, peak_rss_bytes=int(0.8 * total))
    left_little = Ended(-signal.SIGKILL)
    left_little.least_available_bytes = total // 100
    for watch in (held_most, left_little):
        ended = outcome.judge(DeadKernelError(), launched(watch), None, contended=False)
        assert "likely out of memory: peak memory" in ended.reason
    for watch in (Ended(-signal.SIGKILL), Ended(-signal.SIGTERM, int(0.8 * total))):
        ended = outcome.judge(DeadKernelError(), launched(watch), None, contended=False)
        assert "likely" not in ended.reason
        assert "peak memory" in ended.reason


def test_a_stopped_run_is_interrupted_whatever_its_kernel_says():
    launch = launched(Ended(-signal.SIGKILL))
    launch.stop.stop_now()
    ended = outcome.judge(DeadKernelError(), launch, None, contended=False)
    assert (ended.status, ended.failed_cell.number) == ("interrupted", 3)
    ended = outcome.judge(StopRequested(), launched(), None, contended=False)
    assert (ended.status, ended.failed_cell) == ("interrupted", None)


@pytest.mark.parametrize(
    ("session", "status", "reason"),
    [
        (None, "failed", "the notebook never called day.open()"),
        (SessionReport(), "failed", "the notebook reached its end, but never called d.close()"),
        (SessionReport(closed=True), "ok", ""),
    ],
)
def test_a_notebook_has_to_open_and_close_its_session(session, status, reason):
    ended = outcome.judge(None, launched(done=5), session, contended=False)
    assert (ended.status, ended.reason) == (status, reason)
