"""What a sweep's runs say together, in the words and order that its page shows it.

Follows: facts.py; a ratio is compared with no other across machines, and not where none counts.
Leaves out: single runs (facts.py) and layout (templates/).
"""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Any

from workbench.report import facts
from workbench.report.numbers import claim_text, duration, quantity
from workbench.report.status import Status, status_of
from workbench.report.sweep_rows import value_text
from workbench.runs.record import COMPLETE, RunRecord
from workbench.runs.swept import Point, Swept

_TIMES = " \N{MULTIPLICATION SIGN} "


def grid_text(sweep: Swept) -> str:
    """Return the grid in a few words: policy x ssd_gib, 4 runs."""
    return f"{_TIMES.join(sweep.axes) or 'one point'}, {_runs(len(sweep.records))}"


def states(sweep: Swept) -> list[tuple[int, Status]]:
    """Return how many runs are in each state, the most frequent first."""
    counts = Counter(status_of(record) for record in sweep.records)
    return [(count, status) for status, count in counts.most_common()]


def sentence(sweep: Swept) -> str:
    """Return what became of the grid, and where its ratio is lowest and highest."""
    n_ended = sum(record.status in COMPLETE for record in sweep.records)
    parts = [f"{n_ended} of {_runs(len(sweep.records))} came to the end"]
    if n_missing := len(sweep.missing()):
        parts.append(f"{n_missing} {'point has' if n_missing == 1 else 'points have'} no run")
    if again := sum(record.attempts > 1 for record in sweep.records):
        parts.append(f"{_runs(again)} had to be begun again, because a worker was lost")
    return f"{'; '.join(parts)}.{_extremes(sweep)}"


def notices(sweep: Swept) -> list[str]:
    """Return what has to be known before two of the figures are held against each other."""
    told = []
    if (n := len({run.machine_id for run in sweep.records if run.machine_id})) > 1:
        told.append(
            f"The runs were made on {n} machines. Each has its own chart and table: figures and "
            "verdicts of different machines are never compared."
        )
    if n := len(sweep.reused):
        told.append(
            f"{_runs(n)} of these {'was' if n == 1 else 'were'} made by an earlier sweep of fewer "
            "points, which this one went on with."
        )
    if any(run.contended for run in sweep.records):
        told.append(
            "Runs measured at the same time on one machine, so no verdict counts; hollow marks in "
            "the charts say so, too."
        )
    if (n := len({(run.git_sha, run.git_dirty) for run in sweep.records})) > 1:
        told.append(
            f"The runs are of {n} states of the code: a difference may come from that, and not "
            "from a parameter."
        )
    return told


def sweep_facts(sweep: Swept) -> list[facts.Fact]:
    """Return the grid, what was held fixed, the claim, and how much work it was."""
    axes = [(name, ", ".join(map(value_text, values))) for name, values in sweep.axes.items()]
    claims = dict.fromkeys(run.verdict.claim for run in sweep.records if run.verdict)
    fixed = ", ".join(f"{row['name']}={row['value']}" for row in _fixed(sweep))
    return [
        *axes,
        ("Held fixed", fixed or "everything at its default"),
        ("Claim", ", ".join(map(claim_text, claims)) or "none was judged"),
        ("All runs together", duration(sum(run.wall_s or 0.0 for run in sweep.records))),
        ("Commit", ", ".join(dict.fromkeys(map(facts.commit, sweep.records)))),
        ("Sweep", sweep.id),
    ]


def command(sweep: Swept) -> str:
    """Return the command that makes what is missing of the grid."""
    given = {name: ",".join(map(value_text, values)) for name, values in sweep.axes.items()}
    given |= {row["name"]: row["value"] for row in _fixed(sweep)}
    words = [f"{name}={values}" for name, values in given.items()]
    label = sweep.latest.label
    return shlex.join(
        [
            *("workbench", "sweep", sweep.day),
            *(word for text in words for word in ("-p", text)),
            *(("--label", label) if label else ()),
            "--resume",
        ]
    )


def point_text(point: Point) -> str:
    """Return a point of the grid: policy=lru, ssd_gib=64."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in point.items())


def _extremes(sweep: Swept) -> str:
    """Return the lowest and highest ratio that counts; nothing where runs are of two machines."""
    found: dict[str, tuple[float, RunRecord]] = {}
    for run in sweep.records:
        if run.verdict is not None and run.status in ("ok", "refuted"):
            found[run.run_id] = (run.verdict.ratio.median, run)
    alike = {run.machine_id for _, run in found.values()}
    if len(found) < 2 or len(alike) > 1 or not sweep.axes:
        return ""
    ordered = sorted(found.values(), key=lambda pair: pair[0])
    low, high = (
        f"{quantity(ratio, 'x')} ({point_text(sweep.point(run))})"
        for ratio, run in (ordered[0], ordered[-1])
    )
    return f" Their ratios go from {low} to {high}."


def _fixed(sweep: Swept) -> list[dict[str, Any]]:
    """Return the parameters that were given and not swept."""
    changed, _ = facts.parameters(sweep.latest)
    return [row for row in changed if row["name"] not in sweep.axes]


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
