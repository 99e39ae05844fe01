"""Say how a run ended and why, from what was observed, in words its user can act on.

Follows: exceptions, exit status and the session's own word; never papermill's metadata.
Leaves out: writing it down (execute.py).
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from workbench.runs.engine import Launch
from workbench.runs.kernel import KernelWatch
from workbench.runs.progress import CodeCell
from workbench.runs.record import FailedCell, Status
from workbench.runs.session_report import SessionReport
from workbench.runs.stop import StopRequested
from workbench.runs.verdict import status_of

_GIB = 2**30
# A process that held this share of the memory, or left so little, was probably killed for it.
_OOM_HELD = 0.5
_OOM_LEFT = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run, as run.json tells it."""

    status: Status
    reason: str = ""
    failed_cell: FailedCell | None = None


def judge(
    error: Exception | None, launch: Launch, session: SessionReport | None, *, contended: bool
) -> Outcome:
    """Return how the run ended.

    Parameters
    ----------
    error : exception   what the execution raised; None if it came back
    launch : Launch     what the engine has seen
    session             what the notebook's session left behind; None if it never opened one
    contended : bool    whether other runs measured at the same time
    """
    where = _where(launch.cell)
    failed_cell = _failed_cell(launch.cell)
    if launch.stop.now.is_set():
        return Outcome("interrupted", f"stopped at once by its user, in {where}", failed_cell)
    if isinstance(error, StopRequested):
        return Outcome("interrupted", f"stopped by its user, after {where}")
    if isinstance(error, CellTimeoutError):
        return Outcome("timed_out", _timeout_reason(error, launch), failed_cell)
    if isinstance(error, DeadKernelError):
        return _kernel_died(launch)
    if isinstance(error, PapermillExecutionError):
        return _raised(error, launch)
    if error is not None:
        return Outcome("failed", f"{type(error).__name__}: {_last_line(str(error))}", failed_cell)
    if launch.cells_done != launch.cells_total:
        return _stopped_early(launch)
    if session is None:
        return Outcome("failed", "the notebook never called day.open()")
    if not session.closed:
        return Outcome("failed", "the notebook reached its end, but never called d.close()")
    return Outcome(*status_of(session.verdict, contended=contended))


def _raised(error: PapermillExecutionError, launch: Launch) -> Outcome:
    if error.ename == "SystemExit":
        return _stopped_early(launch, f" (exit code {error.evalue or 0})")
    evalue = _last_line(error.evalue)
    reason = f"{error.ename}: {evalue}" if evalue else str(error.ename)
    return Outcome("failed", reason, _failed_cell(launch.cell))


def _stopped_early(launch: Launch, how: str = "") -> Outcome:
    reason = f"the notebook stopped at {_where(launch.cell)} before its end{how}"
    return Outcome("failed", reason, _failed_cell(launch.cell))


def _timeout_reason(error: CellTimeoutError, launch: Launch) -> str:
    where = _where(launch.cell)
    if "IOPub" in str(error):
        return f"the output of {where} did not arrive; run again on a less busy machine"
    return f"{where} took longer than {launch.timeout_s} s; allow more with --timeout"


def _kernel_died(launch: Launch) -> Outcome:
    code = launch.watch.exit_status()
    if code == 0:
        return _stopped_early(launch, " (the kernel ended itself)")
    if code is not None and code < 0:
        how = f"the kernel was killed by {signal.Signals(-code).name}"
    else:
        how = f"the kernel ended with exit code {code}"
    reason = f"{how} in {_where(launch.cell)}; {_memory(launch.watch, code)}"
    return Outcome("killed", reason, _failed_cell(launch.cell))


def _memory(watch: KernelWatch, code: int | None) -> str:
    total = psutil.virtual_memory().total
    held = f"peak memory {watch.peak_rss_bytes / _GIB:.2f} GiB of {total / _GIB:.0f} GiB"
    short = watch.peak_rss_bytes > _OOM_HELD * total
    short |= watch.least_available_bytes < _OOM_LEFT * total
    likely = code == -signal.SIGKILL and short
    return f"likely out of memory: {held}; measure less (--preset tiny)" if likely else held


def _where(cell: CodeCell | None) -> str:
    if cell is None:
        return "the start"
    tag = f" [{cell.tag}]" if cell.tag else ""
    return f"cell {cell.number}{tag}"


def _failed_cell(cell: CodeCell | None) -> FailedCell | None:
    if cell is None:
        return None
    return FailedCell(number=cell.number, tag=cell.tag, first_line=cell.first_line)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
