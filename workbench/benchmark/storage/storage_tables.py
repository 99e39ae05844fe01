"""Turn what a storage sweep measured into metric rows, one wide table and the proof of its media.

Follows: every throughput beside its ceiling, every storage figure with its medium.
Leaves out: measuring (storage_sampling.py) and drawing (workbench/report).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.storage.fio import FioResult
from workbench.benchmark.storage.storage_media import Medium
from workbench.benchmark.storage.storage_sampling import DEEP, HUGE, RAW, Group

ENGINE = "synchronous"
MEDIA = ("device", "page_cache")


def metric_rows(groups: Sequence[Group]) -> pl.DataFrame:
    """Return a row a round: throughput and latencies of the engine, fio and the bare loops."""
    return pl.concat([frame for group in groups for frame in _group_rows(group)])


def _group_rows(group: Group) -> Iterator[pl.DataFrame]:
    metric, case = f"storage_{group.op}", f"block_kib={group.block_kib}"
    for name in group.samples.seconds:
        tier, _, variant = name.partition(" ")
        place = {"tier": tier, "case": case, "variant": variant or ENGINE}
        yield metrics.rows(metric, "GB/s", group.samples.rate(name) / 1e9, **place)
        for percent in (50, 99) if name in group.took_us else ():
            value = [float(np.percentile(group.took_us[name], percent))]
            yield metrics.rows(f"{metric}_p{percent}", "us", value, **place)
    for depth, results in group.fio.items():
        variant = f"fio_qd{depth}"
        for name, unit, values in (
            (metric, "GB/s", [result.gb_s for result in results]),
            (f"{metric}_p50", "us", [result.p50_us for result in results]),
            (f"{metric}_p99", "us", [result.p99_us for result in results]),
        ):
            yield metrics.rows(name, unit, values, tier="device", case=case, variant=variant)


_TABLE: dict[str, pl.DataType] = {
    "block_kib": pl.Int64(),
    "op": pl.String(),
    "medium": pl.String(),
    "GB/s": pl.Float64(),
    "GB/s, huge pages": pl.Float64(),
    "IOPS": pl.Float64(),
    "p50 us": pl.Float64(),
    "p99 us": pl.Float64(),
    "ceiling": pl.String(),
    "ceiling GB/s": pl.Float64(),
    "of ceiling": pl.Float64(),
    "ceiling spread": pl.Float64(),
    "of depth 32": pl.Float64(),
}


def wide_table(groups: Sequence[Group]) -> pl.DataFrame:
    """Return one row a direction, block size and medium.

    Columns
    -------
    GB/s, IOPS           medians over the rounds; p50 us, p99 us over every single block
    GB/s, huge pages     the same engine with its buffers in huge pages; null where not measured
    ceiling              what the row is held against, at the same depth of 1
    of ceiling           fraction of the ceiling's median that was reached
    ceiling spread       largest over smallest of the ceiling's own runs: fio over fio; null for one
    of depth 32          fraction of fio at 32 requests in flight; null on the page cache
    """
    lines = [_line(group, medium) for group in groups for medium in MEDIA]
    return pl.DataFrame(lines, schema=_TABLE)


def _line(group: Group, medium: str) -> dict[str, object]:
    gb_s = group.samples.median_rate(medium) / 1e9
    ceiling, ceiling_runs = _ceiling(group, medium)
    ceiling_gb_s = float(np.median(ceiling_runs))
    deep = group.fio.get(DEEP, []) if medium == "device" else []
    return {
        "block_kib": group.block_kib,
        "op": group.op,
        "medium": medium,
        "GB/s": gb_s,
        "GB/s, huge pages": _huge_gb_s(group, medium),
        "IOPS": gb_s * 1e9 / (group.block_kib << 10),
        "p50 us": float(np.percentile(group.took_us[medium], 50)),
        "p99 us": float(np.percentile(group.took_us[medium], 99)),
        "ceiling": ceiling,
        "ceiling GB/s": ceiling_gb_s,
        "of ceiling": gb_s / ceiling_gb_s,
        "ceiling spread": max(ceiling_runs) / min(ceiling_runs) if len(ceiling_runs) > 1 else None,
        "of depth 32": gb_s / _median_gb_s(deep) if deep else None,
    }


def _ceiling(group: Group, medium: str) -> tuple[str, list[float]]:
    """Return the ceiling's name and the GB/s of each of its runs."""
    if medium == "device" and group.fio.get(1):
        results = group.fio[1]
        return f"fio {results[0].engine}, depth 1", [result.gb_s for result in results]
    rates = group.samples.rate(f"{medium} {RAW}") / 1e9
    return "bare system-call loop", [float(rate) for rate in rates]


def _huge_gb_s(group: Group, medium: str) -> float | None:
    name = f"{medium} {HUGE}"
    return group.samples.median_rate(name) / 1e9 if name in group.samples.seconds else None


def _median_gb_s(results: Sequence[FioResult]) -> float:
    return float(np.median([result.gb_s for result in results]))


_PROOF: dict[str, pl.DataType] = {
    "medium": pl.String(),
    "opened": pl.String(),
    "O_DIRECT read back": pl.String(),
    "resident before": pl.Float64(),
    "resident after": pl.Float64(),
    "proven": pl.Boolean(),
}


def proof_table(media: Sequence[Medium]) -> pl.DataFrame:
    """Return one row a medium: how its file was opened and what mincore said, at its worst.

    Columns
    -------
    opened                              O_DIRECT (F_NOCACHE on macOS), buffered, or the fallback
    O_DIRECT read back                  set, not set, or why the system cannot say
    resident before, resident after     fraction of the file in memory around the timings; the
                                        largest seen on the device, the smallest on the page cache
    proven                              True when the residency bears the medium's name out
    """
    return pl.DataFrame([_proof(medium) for medium in media], schema=_PROOF)


def _proof(medium: Medium) -> dict[str, object]:
    flag = medium.engine.direct_proof(medium.file)
    opened = "bypassing the page cache" if medium.direct else "buffered"
    if medium.name == "device" and not medium.direct:
        opened = "buffered, dropped before each sample, written through"
    return {
        "medium": medium.name,
        "opened": opened,
        "O_DIRECT read back": {True: "set", False: "not set", None: flag.evidence}[flag.flag],
        "resident before": medium.worst(medium.resident_before),
        "resident after": medium.worst(medium.resident_after),
        "proven": medium.proven,
    }
