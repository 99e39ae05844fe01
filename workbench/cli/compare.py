"""`workbench compare`: two runs side by side, or the variants within a day's last run.

Leaves out: the HTML comparison (`workbench report`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import JsonFlag, print_json, print_table
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.runs.compare import Comparison

RunsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="RUN_A RUN_B", help="Run ids, or enough of them.")
]
DayOption = Annotated[str | None, typer.Option(metavar="DAY", help="Compare within its last run.")]
BaselineOption = Annotated[str | None, typer.Option(metavar="VARIANT", help="With --day.")]
MetricOption = Annotated[str | None, typer.Option(metavar="METRIC", help="With --day.")]
AllFlag = Annotated[bool, typer.Option("--all", help="Show rows and parameters that are equal.")]


def command(
    runs: RunsArgument = None,
    day: DayOption = None,
    baseline: BaselineOption = None,
    metric: MetricOption = None,
    all_rows: AllFlag = False,
    json: JsonFlag = False,
) -> None:
    """Compare RUN_A with RUN_B, or --day's variants with its --baseline in one --metric."""
    if day is not None and baseline is not None and metric is not None and not runs:
        _compare_variants(day, metric, baseline, json)
    elif day is None and runs is not None and len(runs) == 2:
        from workbench.runs.compare import compare

        comparison = compare(*runs)
        if json:
            print_json(_as_json(comparison))
        else:
            _print(comparison, all_rows)
    else:
        raise UsageError("give either RUN_A RUN_B, or --day DAY --baseline VARIANT --metric METRIC")


def _compare_variants(day: str, metric: str, baseline: str, json: bool) -> None:
    from workbench.runs import registry
    from workbench.runs.compare import compare_variants
    from workbench.runs.days import get_day

    run = registry.last_complete(get_day(day).name)
    if run is None:
        raise UsageError(f"no run of {day} has come to its end; make one: workbench run {day}")
    rows = compare_variants(run.run_id, metric, baseline).to_dicts()
    if json:
        print_json(rows)
    else:
        print_table(rows, title=f"{metric} against {baseline}, run {run.run_id}")


def _as_json(comparison: Comparison) -> dict[str, object]:
    return {
        "run_a": comparison.run_a.run_id,
        "run_b": comparison.run_b.run_id,
        "machines_differ": comparison.machines_differ,
        "params": comparison.params.to_dicts(),
        "metrics": comparison.metrics.to_dicts(),
    }


def _print(comparison: Comparison, all_rows: bool) -> None:
    for side, run in (("a", comparison.run_a), ("b", comparison.run_b)):
        code = f"{run.git_sha}{'+' if run.git_dirty else ''}"
        print(f"{side}: {run.run_id} {run.status} {run.label} {code} {run.machine.get('cpu', '')}")
    if comparison.machines_differ:
        print("different machines: numbers stand side by side, nothing is judged")
    for title, frame in (("parameters", comparison.params), ("metrics", comparison.metrics)):
        shown = frame if all_rows else frame.filter(frame["differs"])
        print_table(shown.drop("differs").to_dicts(), title=title)
        if shown.height < frame.height:
            print(f"{frame.height - shown.height} equal {title} folded; --all shows them")
