"""Where things lie: the checkout's folders, and the environment variables that move them.

``WORKBENCH_DATA`` and ``WORKBENCH_RUNS`` replace ``data/`` and ``papermill_runs/``, as tests do.
Paths are absolute inside the process only; whatever is written down goes through `shown`.
"""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """Return the checkout's top folder, or the working folder when installed without a checkout."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def data() -> Path:
    """Return the folder that downloads land in."""
    return Path(os.environ.get("WORKBENCH_DATA") or root() / "data").absolute()


def store() -> Path:
    """Return the default folder for the SSD tier's files."""
    return data() / "store"


def runs() -> Path:
    """Return the folder that runs and reports are written to."""
    return Path(os.environ.get("WORKBENCH_RUNS") or root() / "papermill_runs").absolute()


def notebooks() -> Path:
    """Return the folder of the day notebooks."""
    return root() / "notebooks"


def shown(path: Path | str) -> str:
    """Return a path as it may be printed or stored: relative to the checkout or shortened."""
    absolute = Path(path).absolute()
    if absolute.is_relative_to(root()):
        return str(absolute.relative_to(root()))
    return str(Path("...", *absolute.parts[-2:]))
