"""`workbench bench`: list the named benchmarks, or run some and print one row a case.

Leaves out: what is measured (workbench/benchmark/bars.py).
"""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import JsonFlag, print_json, print_table

if TYPE_CHECKING:
    from workbench.benchmark.bars import Benchmark, Row


class Preset(StrEnum):
    """How long to measure."""

    tiny = "tiny"
    standard = "standard"
    full = "full"


Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Benchmarks to run; none: list.")
]
AllFlag = Annotated[bool, typer.Option("--all", help="Run every benchmark.")]
PresetOption = Annotated[Preset, typer.Option(help="How long to measure.")]


def command(
    names: Names = None,
    all_: AllFlag = False,
    preset: PresetOption = Preset.standard,
    json: JsonFlag = False,
) -> None:
    """Hold kernels against their baselines and ceilings, on this machine, now."""
    # Imported here: Numba and polars cost seconds that `workbench --help` must not.
    from workbench.benchmark import bars
    from workbench.benchmark.compile_notice import compile_notice

    wanted = bars.get_benchmarks([*(names or []), *(bars.BENCHMARKS if all_ else [])])
    if not wanted:
        _list(list(bars.BENCHMARKS.values()), json)
    for benchmark in wanted:
        with compile_notice():
            rows = benchmark.run(preset.value)
        bars.save(rows)
        _print(benchmark, rows, json)


def _list(benchmarks: list[Benchmark], json: bool) -> None:
    listed = [{"name": b.name, "question": b.question, "bar": b.bar} for b in benchmarks]
    if json:
        print_json(listed)
    else:
        print_table(listed)


def _print(benchmark: Benchmark, rows: list[Row], json: bool) -> None:
    if json:
        for row in rows:
            print_json(asdict(row))
    else:
        print_table([_readable(row) for row in rows], f"{benchmark.name}: {benchmark.question}")


def _readable(row: Row) -> dict[str, object]:
    return {
        "case": row.case,
        "ratio": f"{row.ratio:.2f}x [{row.low:.2f}, {row.high:.2f}]",
        "bar": row.bar,
        "met": {True: "yes", False: "no", None: None}[row.met],
        "value": _figure(row.value),
        "ceiling": _figure(row.ceiling),
        "unit": row.unit,
    }


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value >= 10 else f"{value:,.3g}"
