"""Show how far a long measurement is: a bar on a terminal, one line a step elsewhere, on stderr.

Follows: the rule that bars are for terminals only, since they flood logs and notebooks.
Leaves out: the progress of notebook cells (workbench/runs) and of downloads (workbench/datasets).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(iterable: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items and report on stderr how many are done.

    Parameters
    ----------
    iterable : iterable      the steps of the work; a step is done when the next one is asked for
    label : str              what is being done, e.g. ``"memory ceiling"``
    total : int or None      number of steps; taken from ``len(iterable)`` when None and known

    A terminal gets one bar that vanishes at the end; a pipe or log file gets one line a step; a
    headless notebook (``WORKBENCH_RUN_DIR`` set) gets nothing.
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    if os.environ.get("WORKBENCH_RUN_DIR"):
        yield from iterable
    elif sys.stderr.isatty():
        # Imported here: tqdm costs start-up time that most callers never need.
        from tqdm import tqdm

        yield from tqdm(iterable, desc=label, total=total, file=sys.stderr, leave=False)
    else:
        yield from _lines(iterable, label, total)


def _lines(iterable: Iterable[Item], label: str, total: int | None) -> Iterator[Item]:
    of_total = "" if total is None else f"/{total}"
    for done, item in enumerate(iterable, start=1):
        yield item
        print(f"{label} {done}{of_total}", file=sys.stderr, flush=True)
