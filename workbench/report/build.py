"""Write report pages: the index, one page a day or sweep, or the page of one run.

Follows: every page is published whole or not at all (runs/publish.py).
Leaves out: what stands on the pages (run_page.py, sweep_page.py, index_page.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from workbench import paths
from workbench.errors import ReportError, UsageError
from workbench.report.bench_rows import read_benches
from workbench.report.cells import MAX_PAGE_CHARS
from workbench.report.compare_page import render_comparison
from workbench.report.index_page import SweepLink, render_index
from workbench.report.profile_page import render_profile
from workbench.report.run_folder import RunFolder, load
from workbench.report.run_page import Links, render_run
from workbench.report.shell import MAX_PAGE_BYTES, moment
from workbench.report.sweep_page import render_sweep
from workbench.runs import registry, swept
from workbench.runs.compare import compare
from workbench.runs.days import get_day
from workbench.runs.profile import profile_file
from workbench.runs.publish import write_atomic
from workbench.runs.record import COMPLETE, RunRecord
from workbench.runs.swept import Swept

INDEX = "index.html"
_LEAST_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Report:
    """Where the pages lie: the index and one page a day that has a run."""

    index: Path
    pages: tuple[Path, ...]


def build_report(output: Path | None = None, *, every_run: bool = False) -> Report:
    """Write the index and a page for every day that has a run.

    Parameters
    ----------
    output : Path      folder for the pages; the runs folder's ``report`` by default
    every_run : bool   also write a page for each run that is not its day's page; each profile
                       and each sweep has one anyway

    Raises
    ------
    ReportError   if a page would be larger than 2 MB

    Cost    3 s, and about 0.3 s a page.
    """
    output = output or default_folder()
    listing = registry.listing()
    sweeps = swept.all_of(listing.records)
    ids = {sweep.id for sweep in sweeps}
    shown = day_runs(listing.records)
    written = {
        run.run_id: write_run_page(run, output / f"{day}.html", sweeps=ids)
        for day, run in shown.items()
    }
    # Profiles are of different commands: each has a page of its own, not only the last one.
    rest = [
        run
        for run in listing.records
        if run.run_id not in written and (every_run or run.kind == "profile")
    ]
    written |= {
        run.run_id: write_run_page(run, run_page_path(run, output), sweeps=ids) for run in rest
    }
    pages = {run_id: path.name for run_id, path in written.items()}
    pages = {**_earlier_pages(listing.records, output), **pages}
    grids = [_write_sweep(sweep, pages, sweep_page_path(sweep.id, output)) for sweep in sweeps]
    links = [SweepLink(sweep, path.name) for sweep, path in zip(sweeps, grids, strict=True)]
    benches = read_benches(paths.runs() / "bench")
    html = render_index(listing.records, pages, benches, listing.problems, links)
    return Report(_publish(output / INDEX, html), (*written.values(), *grids))


def build_day_page(day: str, output: Path | None = None) -> Path:
    """Write the page of a day's last complete run, else of its last one, and return where.

    Raises
    ------
    UsageError   if there is no such day, or no run of it
    """
    run = day_runs(registry.listing().records).get(get_day(day).name)
    if run is None:
        raise UsageError(f"there is no run of {day} to report; make one: workbench run {day}")
    if output is None:
        return write_run_page(run, default_folder() / f"{day}.html")
    return write_run_page(run, output, alone=True)


def build_run_page(run_id: str, output: Path | None = None) -> Path:
    """Write the page of one run and return where: the file given, or beside the index.

    Raises
    ------
    UsageError    if there is no such run
    ReportError   if the page would be larger than 2 MB
    """
    run = registry.find(run_id)
    if output is None:
        return write_run_page(run, run_page_path(run, default_folder()))
    return write_run_page(run, output, alone=True)


def build_sweep_page(name: str, output: Path | None = None, *, every_run: bool = False) -> Path:
    """Write the page of a sweep and return where: the file given, or beside the index.

    Parameters
    ----------
    name : str         a sweep's id or its beginning, its label, or a day: then its last sweep
    every_run : bool   also write a page for each of its runs

    Raises
    ------
    UsageError    if there is no such sweep
    ReportError   if a page would be larger than 2 MB
    """
    sweep = swept.find(name)
    if output is not None:
        return _publish(output, render_sweep(sweep, {}))
    folder = default_folder()
    if every_run:
        for run in sweep.records:
            write_run_page(run, run_page_path(run, folder), sweeps={sweep.id})
    pages = _earlier_pages(sweep.records, folder)
    return _write_sweep(sweep, pages, sweep_page_path(sweep.id, folder))


def build_comparison(run_a: str, run_b: str, output: Path | None = None) -> Path:
    """Write the page of two runs side by side, and return where: the file given, or the index's.

    Raises
    ------
    UsageError   if either run is not there
    """
    comparison = compare(run_a, run_b)
    if output is not None:
        return _publish(output, render_comparison(comparison))
    ids = f"{comparison.run_a.run_id}-{comparison.run_b.run_id}"
    path = default_folder() / f"compare-{ids}.html"
    return _publish(path, render_comparison(comparison, INDEX))


def default_folder() -> Path:
    """Return the folder the report goes to."""
    return paths.runs() / "report"


def run_page_path(run: RunRecord, folder: Path) -> Path:
    """Return where the page of a run that is not its day's page lies."""
    return folder / f"run-{run.run_id}.html"


def sweep_page_path(sweep_id: str, folder: Path) -> Path:
    """Return where the page of a sweep lies."""
    return folder / f"sweep-{sweep_id}.html"


def day_runs(records: tuple[RunRecord, ...]) -> dict[str, RunRecord]:
    """Return the run that each day's page shows: the last complete one, else the last one.

    Parameters
    ----------
    records : tuple of RunRecord   newest first
    """
    chosen: dict[str, RunRecord] = {}
    for run in records:
        known = chosen.get(run.day)
        better = known is not None and known.status not in COMPLETE and run.status in COMPLETE
        if known is None or better:
            chosen[run.day] = run
    return chosen


def write_run_page(
    run: RunRecord, path: Path, *, alone: bool = False, sweeps: Collection[str] = ()
) -> Path:
    """Write the page of a run to a path.

    Parameters
    ----------
    run : RunRecord
    path : Path
    alone : bool          link to no other page
    sweeps : collection   ids of the sweeps that are about to have a page beside this one
    """
    good = None if alone else registry.last_complete(run.day)
    hint = None
    if run.status not in COMPLETE and good is not None:
        hint = Markup('<a href="{}.html">the one of {}</a>').format(run.day, moment(good.started))
    home = None if alone else INDEX
    grid = None if alone else _sweep_page(run, path.parent, sweeps)
    folder = registry.run_folder(run)
    problems: tuple[str, ...] = ()
    if run.kind == "profile":
        try:
            return _publish(path, render_profile(run, profile_file.read(folder), home))
        except profile_file.ProfileError as error:
            problems = (str(error),)
    loaded = load(folder)
    whole = replace(loaded, problems=(*loaded.problems, *problems))
    return _publish(path, _fitting(whole, Links(home, hint, grid)))


def _sweep_page(run: RunRecord, folder: Path, sweeps: Collection[str]) -> str | None:
    """Return the file name of the page of a run's sweep, if there is one or will be."""
    if not swept.is_id(run.sweep):
        return None
    page = sweep_page_path(run.sweep, folder)
    return page.name if run.sweep in sweeps or page.is_file() else None


def _write_sweep(sweep: Swept, pages: Mapping[str, str], path: Path) -> Path:
    return _publish(path, render_sweep(sweep, pages, INDEX))


def _earlier_pages(records: Iterable[RunRecord], folder: Path) -> dict[str, str]:
    """Return the file names of run pages that an earlier report has left, by run id."""
    found = ((run.run_id, run_page_path(run, folder)) for run in records)
    return {run_id: path.name for run_id, path in found if path.is_file()}


def _fitting(run: RunFolder, links: Links) -> str:
    """Return the run's page; of a talkative notebook it shows as many outputs as fit."""
    budget = MAX_PAGE_CHARS
    html = render_run(run, links, budget)
    while len(html.encode()) > MAX_PAGE_BYTES and budget > _LEAST_CHARS:
        budget //= 4
        html = render_run(run, links, budget)
    return html


def _publish(path: Path, html: str) -> Path:
    content = html.encode()
    if len(content) > MAX_PAGE_BYTES:
        raise ReportError(
            f"{path.name} would have {len(content):,} bytes, the limit is {MAX_PAGE_BYTES:,}; "
            "show fewer or smaller outputs in the notebook"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return path
