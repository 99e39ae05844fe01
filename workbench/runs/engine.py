"""Our papermill engine: papermill injects and loops, we say how it went and where it is saved.

Follows: papermill's engine and IO-handler registries; its own cell status says "completed" after a
killed kernel or a time-out, so `_RunManager` replaces the bookkeeping, not the execution.
Leaves out: judging the end (outcome.py) and the run's record (execute.py).
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError
from papermill import execute as papermill_execute
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.iorw import papermill_io

from workbench.runs import kernel
from workbench.runs.progress import CodeCell, Progress
from workbench.runs.publish import write_atomic
from workbench.runs.record import KERNEL_LOG
from workbench.runs.scrub import scrubber
from workbench.runs.stop import Stop, StopRequested

_NAME = "workbench"
_SCHEME = "workbench-run:"
_START_TIMEOUT_S = 60
# How long after a cell's reply its last output may still be under way on a busy machine.
_OUTPUT_TIMEOUT_S = 60
_LOG = logging.getLogger("workbench.kernel")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False


@dataclass
class Launch:
    """One execution: what it was told, and what it has seen so far."""

    notebook: Path
    output: Path
    parameters: Mapping[str, object]
    environment: Mapping[str, str]
    timeout_s: int
    stop: Stop
    progress: Progress
    watch: kernel.KernelWatch = field(default_factory=kernel.KernelWatch)
    cell: CodeCell | None = None  # the one that runs, or ran last
    cells_total: int | None = None
    cells_done: int = 0


def execute(launch: Launch) -> None:
    """Run the notebook; every state of it that is worth reading is at ``launch.output``.

    Raises
    ------
    PapermillExecutionError, CellTimeoutError, DeadKernelError, StopRequested
        as they come; `outcome.judge` reads them
    """
    with _destination(launch.output) as output_path, kernel.socket_folder() as folder:
        launch.stop.on_now(launch.watch.kill)
        try:
            papermill_execute.execute_notebook(
                str(launch.notebook).replace("{", "{{").replace("}", "}}"),
                output_path,
                parameters=dict(launch.parameters),
                engine_name=_NAME,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                launch=launch,
                sockets=folder,
            )
        finally:
            launch.stop.forget(launch.watch.kill)
            launch.watch.end()
            launch.progress.close()
            _keep_log(folder / KERNEL_LOG, launch.output.with_name(KERNEL_LOG))
            _close_loop()


def _close_loop() -> None:
    """Close the event loop that nbclient made for this thread, if the thread is a sweep's."""
    if threading.current_thread() is not threading.main_thread():
        ensure_event_loop().close()


def _keep_log(log: Path, place: Path) -> None:
    """Keep what the kernel wrote past Jupyter, such as the stack of a crash; usually nothing."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    if text.strip():
        write_atomic(place, scrubber().text(text).encode())


class _RunManager(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the notebook's bookkeeping, and saves after each code cell, not while one measures."""

    def __init__(self, nb: Any, output_path: str, launch: Launch) -> None:
        super().__init__(nb, output_path, progress_bar=False, autosave_cell_every=0)
        self._launch = launch
        self._cells = _code_cells(nb)
        self._began = 0.0
        launch.cells_total = len(self._cells)

    def cell_start(self, cell: Any, cell_index: int | None = None, **_: Any) -> None:
        code = self._code(cell_index)
        if code is None:
            return
        self._launch.stop.check()
        self._launch.cell = code
        self._launch.progress.begin(code)
        cell.metadata.papermill.update(start_time=self.now().isoformat(), status=self.RUNNING)
        self._began = time.perf_counter()

    def cell_complete(self, cell: Any, cell_index: int | None = None, **_: Any) -> None:
        # Papermill calls this in a `finally`: an exception on its way means it is not complete.
        error = sys.exception()
        code = self._code(cell_index)
        if code is None:
            cell.metadata.papermill["status"] = self.COMPLETED  # prose
            return
        if isinstance(error, StopRequested):
            return
        if isinstance(error, CellTimeoutError):
            self._launch.watch.kill()  # what would not end in time does not end politely, either
        seconds = time.perf_counter() - self._began
        state = cell.metadata.papermill
        state.update(end_time=self.now().isoformat(), duration=round(seconds, 3))
        if error is not None:
            self.cell_exception(cell, cell_index)
        if state["status"] != self.FAILED:
            state.update(status=self.COMPLETED, exception=False)
            self._launch.cells_done += 1
        self._launch.progress.end(code, seconds)
        self.save()

    def notebook_complete(self, **_: Any) -> None:
        self.end_time = self.now()
        duration = (self.end_time - self.start_time).total_seconds()
        self.nb.metadata.papermill.update(
            end_time=self.end_time.isoformat(),
            duration=round(duration, 3),
            exception=self._launch.cells_done != self._launch.cells_total,
        )
        self.save()

    def _code(self, index: int | None) -> CodeCell | None:
        return None if index is None else self._cells.get(index)


def _code_cells(nb: Any) -> dict[int, CodeCell]:
    """Return the cells that will be executed, by their index in the notebook."""
    indices = [
        i for i, cell in enumerate(nb.cells) if cell.cell_type == "code" and cell.source.strip()
    ]
    return {
        index: CodeCell(
            number=number,
            total=len(indices),
            tag=next(iter(nb.cells[index].metadata.get("tags", [])), ""),
            source=nb.cells[index].source,
        )
        for number, index in enumerate(indices, start=1)
    }


class _WorkbenchEngine(Engine):  # type: ignore[misc]
    """Papermill's engine with our manager, our kernel and our environment."""

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str, launch: Launch, sockets: Path, **_: Any
    ) -> Any:
        manager = _RunManager(nb, output_path, launch)
        client = PapermillNotebookClient(
            manager,
            kernel_manager_class=kernel.manager_class(sockets, launch.watch),
            kernel_name=kernel_name,
            timeout=launch.timeout_s,
            startup_timeout=_START_TIMEOUT_S,
            iopub_timeout=_OUTPUT_TIMEOUT_S,
            record_timing=False,
            log=_LOG,
        )
        manager.notebook_start()
        try:
            client.execute(env=dict(launch.environment), cwd=str(launch.notebook.parent))
        finally:
            manager.notebook_complete()
        return manager.nb


class _RunStorage:
    """Papermill's IO handler for our outputs: scrubbed, and replaced in one step."""

    def __init__(self) -> None:
        self.places: dict[str, Path] = {}

    def write(self, text: str, path: str) -> None:
        place = self.places[path]
        notebook = json.loads(text)
        notebook["metadata"].get("papermill", {}).update(output_path=place.name)
        clean = json.dumps(scrubber().value(notebook), indent=1, ensure_ascii=False)
        write_atomic(place, (clean + "\n").encode())

    def pretty_path(self, path: str) -> str:
        return self.places[path].name


_STORAGE = _RunStorage()
papermill_io.register(_SCHEME, _STORAGE)
papermill_engines.register(_NAME, _WorkbenchEngine)


@contextmanager
def _destination(output: Path) -> Iterator[str]:
    """Lend papermill a name under which it can write to ``output``."""
    name = f"{_SCHEME}{uuid.uuid4().hex}.ipynb"
    _STORAGE.places[name] = output
    try:
        yield name
    finally:
        del _STORAGE.places[name]
