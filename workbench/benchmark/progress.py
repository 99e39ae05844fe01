"""Show how far a long measurement is: a bar on a terminal, one line a step elsewhere, on stderr.

Follows: the rule that bars are for terminals only, since they flood logs and notebooks.
Leaves out: the progress of notebook cells (workbench/runs) and of downloads (workbench/datasets).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Literal, TypeVar

Item = TypeVar("Item")
Report = Callable[[int], None]

_MODE = "WORKBENCH_PROGRESS"


def track(iterable: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items and report on stderr how many are done.

    Parameters
    ----------
    iterable : iterable      the steps of the work; a step is done when the next one is asked for
    label : str              what is being done, e.g. ``"storage sweep"``
    total : int or None      number of steps; taken from ``len(iterable)`` when None and known
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with meter(label, total) as report:
        for done, item in enumerate(iterable, start=1):
            yield item
            report(done)


@contextmanager
def meter(label: str, total: int | None = None) -> Iterator[Report]:
    """Yield a function to call with the number of steps done, e.g. as ``interleave(on_round=...)``.

    A terminal or a live notebook gets one bar that vanishes at the end; a pipe or log file gets one
    line a step; a headless notebook gets nothing. Notebooks say which they are by `set_mode`.
    """
    mode = os.environ.get(_MODE)
    if mode == "none":
        yield _say_nothing
    elif mode == "widget" or sys.stderr.isatty():
        with _bar(label, total, in_notebook=mode == "widget") as report:
            yield report
    else:
        of_total = "" if total is None else f"/{total}"
        yield lambda done: print(f"{label} {done}{of_total}", file=sys.stderr, flush=True)


def set_mode(mode: Literal["widget", "none"]) -> None:
    """Have every later report of this process shown as a notebook's widget, or not at all."""
    os.environ[_MODE] = mode


def _say_nothing(done: int) -> None:
    """Report to nobody."""


@contextmanager
def _bar(label: str, total: int | None, *, in_notebook: bool) -> Iterator[Report]:
    # Imported here: tqdm costs start-up time that most callers never need.
    if in_notebook:
        from tqdm.notebook import tqdm

        kept = tqdm(desc=label, total=total, leave=False)
    else:
        from tqdm import tqdm

        kept = tqdm(desc=label, total=total, leave=False, file=sys.stderr)
    with kept as bar:
        yield lambda done: bar.update(done - bar.n)
