"""Turn what a restore measured into metric rows, one wide table and the proof of its medium.

Follows: every rate beside its ceiling and beside the baseline, with the interval.
Leaves out: measuring (restore.py) and drawing (workbench/report).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.storage.restore_variants import WHAT, Variant

if TYPE_CHECKING:
    from workbench.benchmark.storage.restore import Group


def metric_name(workload: str) -> str:
    """Return the metric of a workload's rows."""
    return f"restore_{workload}"


def ceiling_name(depth: int) -> str:
    """Return the variant under which fio's rows of a depth stand."""
    return f"fio_qd{depth}"


def metric_rows(groups: Sequence[Group]) -> pl.DataFrame:
    """Return a row a round of every variant, and a row a run of fio."""
    return pl.concat([frame for group in groups for frame in _group_rows(group)])


def _group_rows(group: Group) -> Iterator[pl.DataFrame]:
    metric = metric_name(group.workload.name)
    for variant in group.variants:
        rates = group.samples.rate(variant.name) / 1e9
        case = f"block_kib={variant.block_kib}"
        yield metrics.rows(metric, "GB/s", rates, tier="device", case=case, variant=variant.name)
    for job, results in group.fio.items():
        yield metrics.rows(
            metric,
            "GB/s",
            [result.gb_s for result in results],
            tier="device",
            case=f"block_kib={job.block_kib}",
            variant=ceiling_name(job.depth),
        )


_TABLE: dict[str, pl.DataType] = {
    "workload": pl.String(),
    "variant": pl.String(),
    "GB/s": pl.Float64(),
    "of baseline": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "block_kib": pl.Int64(),
    "depth": pl.Int64(),
    "ceiling GB/s": pl.Float64(),
    "of ceiling": pl.Float64(),
    "ceiling spread": pl.Float64(),
    "what it adds": pl.String(),
}


def wide_table(groups: Sequence[Group]) -> pl.DataFrame:
    """Return one row a workload and variant, in the order in which parts were switched on.

    Columns
    -------
    GB/s                     median over the rounds
    of baseline, low, high   ratio to the workload's first variant, and its 99 % interval
    ceiling GB/s             fio's median at the same block size, depth, order and mix; null without
    of ceiling               fraction of it that was reached
    ceiling spread           fio's fastest run over its slowest: fio over fio; null for one run
    """
    lines = [_line(group, variant) for group in groups for variant in group.variants]
    return pl.DataFrame(lines, schema=_TABLE)


def _line(group: Group, variant: Variant) -> dict[str, object]:
    gb_s = group.samples.median_rate(variant.name) / 1e9
    ratio = group.samples.ratio(variant.name, group.baseline)
    runs = [result.gb_s for result in group.fio[group.jobs[variant.name]]]
    ceiling = float(np.median(runs)) if runs else None
    return {
        "workload": group.workload.name,
        "variant": variant.name,
        "GB/s": gb_s,
        "of baseline": ratio.median,
        "low": ratio.low,
        "high": ratio.high,
        "block_kib": min(variant.block_kib, group.workload.largest_kib),
        "depth": variant.depth,
        "ceiling GB/s": ceiling,
        "of ceiling": gb_s / ceiling if ceiling else None,
        "ceiling spread": max(runs) / min(runs) if len(runs) > 1 else None,
        "what it adds": WHAT[variant.name],
    }


def proof(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one row a file and engine, the worst that was seen of each over all variants."""
    rows = pl.concat(tables)
    worst = [
        pl.col("O_DIRECT read back").unique().sort().str.join(", "),
        pl.col("resident before").max(),
        pl.col("resident after").max(),
        pl.col("proven").all(),
    ]
    return rows.group_by("what", "engine", maintain_order=True).agg(worst)
