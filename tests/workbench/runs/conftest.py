"""Fixtures of the runs: small notebooks of Day 1, and a set of runs that ended in every way."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.runs import execute
from workbench.runs.days import DAYS, Day
from workbench.runs.params import parameters_cell
from workbench.runs.request import Request, Run

SETUP = 'from workbench import day\n\nd = day.open("day01", locals())'
CANARY_USER, CANARY_HOST = "canaryuser", "canaryhost"

MakeDay = Callable[..., Day]


def write_notebook(path: Path, *cells: str) -> Day:
    """Write a notebook with the real parameters cell, and return Day 1 with it.

    A cell may begin with its tag: ``[chart] x = 1``.
    """
    made = [
        new_markdown_cell("# A question"),
        new_code_cell(parameters_cell(DAYS["day01"].params), metadata={"tags": ["parameters"]}),
    ]
    for text in cells:
        tag, bracket, source = text.partition("] ")
        tags = [tag.removeprefix("[")] if bracket and tag.startswith("[") else []
        made.append(new_code_cell(source if tags else text, metadata={"tags": tags}))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=made, metadata={"kernelspec": kernel}), path)
    return dataclasses.replace(DAYS["day01"], notebook=str(path))


@pytest.fixture
def make_day(tmp_path: Path) -> MakeDay:
    """Return a function that writes cells into a notebook and returns a day of it."""
    return lambda *cells: write_notebook(tmp_path / "probe.ipynb", *cells)


@pytest.fixture(scope="session")
def setup_cell() -> str:
    """Return the setup cell of every day's notebook."""
    return f"[setup] {SETUP}"


COMPLETE = (
    f"[setup] {SETUP}",
    "import os, platform, sys, tempfile, traceback, numpy as np\n"
    "from pathlib import Path\n"
    "from workbench import paths\n"
    "print(paths.root(), paths.data() / 'x', Path.home(), os.getcwd(), sys.executable)\n"
    f"print('{CANARY_USER}', '{CANARY_HOST}', tempfile.gettempdir())",
    "from workbench.benchmark import metrics\n"
    "d.record(metrics.rows('speed', 'GB/s', range(20, 32), variant='new'))\n"
    "d.record(metrics.rows('speed', 'GB/s', range(10, 22), variant='old'))\n"
    "d.record(metrics.rows('size', 'bytes', [1.0], case=f'store={Path.home()}/store'))",
    "d.table(d.metrics.head(2), caption='Two rows')",
    "[chart] import altair as alt\n"
    "from workbench.report.figures import Figure\n"
    "chart = alt.Chart(d.metrics).mark_bar().encode(x='variant:N', y='mean(value):Q')\n"
    "d.show(Figure('Speed', chart, f'New is faster than old, says {paths.root()}.'))",
    "[verdict] from workbench.benchmark.statistics import bootstrap_ratio\n"
    "new, old = (d.metrics.filter(variant=v)['value'].to_numpy() for v in ('new', 'old'))\n"
    "d.verdict(metric='speed', contender='new', baseline='old',\n"
    "          ratio=bootstrap_ratio(new, old), claim='>= 1.2x',\n"
    "          sentence=f'New is faster in {Path.home()}.')",
    "d.close()",
)
DIVIDES = (
    "import traceback\n"
    "from workbench.runs.days import get_day\n"
    "try:\n"
    "    get_day('day99')\n"
    "except Exception:\n"
    "    traceback.print_exc()",
    "[measure] # how many?\n1 / 0",
    "never = 1",
)
EXITS = (f"[setup] {SETUP}", "[measure] import sys; sys.exit(0)", "d.close()")
SLEEPS = ("[measure] import time; time.sleep(300)", "never = 1")
KILLED = (
    f"[setup] {SETUP}",
    "from workbench.benchmark import metrics\nd.record(metrics.rows('speed', 'GB/s', [1.5]))",
    "[measure] import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "d.close()",
)


@dataclasses.dataclass(frozen=True)
class Ended:
    """Runs by the way they ended, and the folder they lie in."""

    runs: dict[str, Run]
    folder: Path
    home: Path


# Not for the session: while it lives, the environment and the host name are not the real ones.
@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """Execute a handful of notebooks, once for all tests that look at how they ended."""
    base = tmp_path_factory.mktemp("ended")
    home = base / "home" / "canaryhome"
    home.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RUNS", str(base / "runs"))
        patch.setenv("WORKBENCH_DATA", str(base / "data"))
        patch.setenv("HOME", str(home))
        for variable in ("LOGNAME", "USER"):
            patch.setenv(variable, CANARY_USER)
        patch.setattr(platform, "node", lambda: f"{CANARY_HOST}.example.org")
        yield Ended({name: _run(base, name) for name in _CASES}, base / "runs", home)


_CASES: dict[str, tuple[tuple[str, ...], int]] = {
    "complete": (COMPLETE, 120),
    "divides": (DIVIDES, 120),
    "exits": (EXITS, 120),
    "sleeps": (SLEEPS, 3),
    "killed": (KILLED, 120),
}


def _run(base: Path, name: str) -> Run:
    cells, timeout_s = _CASES[name]
    day = write_notebook(base / f"{name}.ipynb", *cells)
    params = day.params(preset="tiny", store=str(base / "store"))
    return execute.run(Request(day, params, label=name, timeout_s=timeout_s))
