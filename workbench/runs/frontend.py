"""Find out who runs this notebook: `workbench run`, plain papermill, a person, or a script.

Follows: whether the front end can be asked for input, which papermill and nbclient refuse.
Leaves out: which front end a person uses; whatever can ask counts as JupyterLab.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import psutil

from workbench.runs.record import Source


def run_folder() -> Path | None:
    """Return the run's folder when `workbench run` started this kernel."""
    folder = os.environ.get("WORKBENCH_RUN_DIR")
    return Path(folder) if folder else None


def shell() -> Any | None:
    """Return IPython's shell if this is one; plain Python never imports it for us."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def interactive() -> bool:
    """Tell whether a person sits in front: the running cell's request allows asking for input."""
    kernel = getattr(shell(), "kernel", None)
    if kernel is None or run_folder() is not None:
        return False
    content = kernel.get_parent().get("content", {})
    return bool(content.get("allow_stdin", False))


def source() -> Source:
    """Return who runs this notebook.

    Papermill is seen by its name in the command line of a process above the kernel; when a script
    calls papermill as a library, it is the script that counts.
    """
    if run_folder() is not None:
        return "workbench"
    if interactive():
        return "jupyterlab"
    return "papermill" if _below_papermill() else "script"


def _below_papermill() -> bool:
    for process in psutil.Process().parents():
        try:
            command = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        # "python .../bin/papermill in out" or "python -m papermill in out"
        if any(Path(word).name == "papermill" for word in command[:3]):
            return True
    return False
