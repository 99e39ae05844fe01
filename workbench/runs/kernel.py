"""Start a notebook's kernel on private sockets with this very interpreter; watch its memory.

Follows: jupyter_client's kernel manager; IPC because TCP ports are raced by parallel runs.
Leaves out: talking to the kernel (nbclient) and deciding what its death means (outcome.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

import workbench
from workbench import paths
from workbench.runs.environment import peak_rss_bytes, process_started
from workbench.runs.record import KERNEL_LOG

_SAMPLE_S = 0.25
# A socket's path may hold 104 bytes on macOS and 108 on Linux; ours adds about 40 to the folder's.
_LONGEST_FOLDER = 60
_PREFIX = "workbench-"
# In a folder that containers share, a process of another one looks gone; one this old is.
_STALE_S = 24 * 3600


class KernelWatch:
    """What is known of one kernel process from outside: peak memory, how it ended."""

    def __init__(self) -> None:
        self.peak_rss_bytes = 0
        self.least_available_bytes = int(psutil.virtual_memory().available)
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()

    def begin(self, process: subprocess.Popen[bytes]) -> None:
        """Sample the process's memory from now on, in a thread of its own."""
        self._process = process
        threading.Thread(target=self._sample, name="kernel-watch", daemon=True).start()

    def end(self) -> None:
        """Stop sampling."""
        self._ended.set()

    def kill(self) -> None:
        """Kill the kernel and what it started, at once."""
        if self._process is not None and self._process.poll() is None:
            # The kernel leads a process group of its own.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def exit_status(self) -> int | None:
        """Return the exit code, minus the signal number if one killed it; None while it lives."""
        return None if self._process is None else self._process.poll()

    def _sample(self) -> None:
        assert self._process is not None
        while not self._ended.wait(_SAMPLE_S):
            available = int(psutil.virtual_memory().available)
            self.least_available_bytes = min(self.least_available_bytes, available)
            peak = peak_rss_bytes(self._process.pid)
            if peak is None:
                return
            self.peak_rss_bytes = max(self.peak_rss_bytes, peak)


class _IpcKernelManager(AsyncKernelManager):  # type: ignore[misc]
    """A kernel manager for one run; `manager_class` fills in the run."""

    folder: ClassVar[Path]
    watch: ClassVar[KernelWatch]

    def __init__(self, **options: Any) -> None:
        sockets = {"transport": "ipc", "ip": str(self.folder / "k")}
        super().__init__(connection_file=str(self.folder / "k.json"), **sockets, **options)

    @property
    def kernel_spec(self) -> KernelSpec:
        """Return this interpreter's kernel, whatever kernels are installed under that name."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, language="python", display_name="Python 3")

    async def start_kernel(self, **options: Any) -> None:
        """Start the kernel and its watch; what it writes past Jupyter goes into a log."""
        with open(self.folder / KERNEL_LOG, "wb") as log:
            await super().start_kernel(stdout=log, stderr=log, **options)
        self.watch.begin(self.provisioner.process)


def manager_class(folder: Path, watch: KernelWatch) -> type[AsyncKernelManager]:
    """Return a kernel manager class whose one kernel keeps its sockets in ``folder``."""
    return type("IpcKernelManager", (_IpcKernelManager,), {"folder": folder, "watch": watch})


def kernel_environment(run_folder: Path, seed: int) -> Mapping[str, str]:
    """Return the environment of a run's kernel: this code, this run, these folders."""
    checkout = str(Path(workbench.__file__).resolve().parent.parent)
    python_path = [checkout, os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, python_path)),
        "PYTHONHASHSEED": str(seed),
        "WORKBENCH_RUN_DIR": str(run_folder),
        # Absolute, because the kernel works in the notebook's folder.
        "WORKBENCH_RUNS": str(paths.runs()),
        "WORKBENCH_DATA": str(paths.data()),
        # Keeps the debugger from warning on every start.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


@contextmanager
def socket_folder() -> Iterator[Path]:
    """Give a private folder with a path short enough for sockets, and take it away again."""
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST_FOLDER:
        parent = "/tmp"
    _sweep(Path(parent))
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove socket folders whose owners were killed before they could."""
    for folder in parent.glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        stale = time.time() - folder.stat().st_mtime > _STALE_S
        if stale and owner.isdigit() and process_started(int(owner)) is None:
            shutil.rmtree(folder, ignore_errors=True)
