"""Rank what holds a Day 1 machine back, by one rule: how many times short of its limit each is.

The limit is the week's target, or the machine's own ceiling where there is no target or where the
target lies above it (nothing can pass a ceiling, so the rest of that gap is not ours to close).
Leaves out: causes; each line only says which day tests one.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.week import targets

RULE = "times short = limit / measured (measured / limit where less is better), largest first"


@dataclass(frozen=True, slots=True)
class Gap:
    """One measured thing and the limit it is held against."""

    what: str
    measured: float
    limit: float
    unit: str
    limit_is: str
    next_step: str
    smaller_is_better: bool = False

    @property
    def distance(self) -> float:
        """Return how many times short of the limit this is; 1 or less means there is no gap."""
        return self.measured / self.limit if self.smaller_is_better else self.limit / self.measured


def rank(rows: pl.DataFrame, ram_bytes: int, top: int = 3) -> pl.DataFrame:
    """Return the largest gaps of a Day 1 run, largest first.

    Parameters
    ----------
    rows : metrics frame    of the run: storage_read/_write, kv_store, kv_footprint
    ram_bytes : int         of this machine, the limit of the long-context footprint
    top : int               how many to return; things within their limit are never listed

    Cost    O(rows).
    """
    gaps = sorted(_gaps(rows, ram_bytes), key=lambda gap: gap.distance, reverse=True)
    return pl.DataFrame(
        [
            {
                "rank": position,
                "bottleneck": gap.what,
                "times short": gap.distance,
                "measured": gap.measured,
                "limit": gap.limit,
                "unit": gap.unit,
                "limit is": gap.limit_is,
                "next": gap.next_step,
            }
            for position, gap in enumerate((gap for gap in gaps if gap.distance > 1), start=1)
        ][:top],
        schema=_TABLE,
    )


_TABLE: dict[str, pl.DataType] = {
    "rank": pl.Int64(),
    "bottleneck": pl.String(),
    "times short": pl.Float64(),
    "measured": pl.Float64(),
    "limit": pl.Float64(),
    "unit": pl.String(),
    "limit is": pl.String(),
    "next": pl.String(),
}


def _gaps(rows: pl.DataFrame, ram_bytes: int) -> list[Gap]:
    return [*_storage_gaps(rows), *_store_gaps(rows), *_footprint_gaps(rows, ram_bytes)]


def _storage_gaps(rows: pl.DataFrame) -> list[Gap]:
    """Hold the synchronous engine against the device at depth 32; the worst size a direction."""
    gaps = []
    for metric, what in (("storage_read", "device reads"), ("storage_write", "device writes")):
        device = rows.filter(pl.col("metric") == metric, pl.col("tier") == "device")
        cases = device["case"].unique(maintain_order=True).to_list()
        found = [
            Gap(
                f"{what}, one {case.removeprefix('block_kib=')} KiB block at once",
                measured,
                ceiling,
                "GB/s",
                "this device, depth 32",
                "Day 2: depth, merging, read-ahead",
            )
            for case in cases
            if (measured := metrics.best(device, case=case, variant="synchronous")) is not None
            and (ceiling := metrics.best(device, case=case, variant="fio_qd32")) is not None
        ]
        gaps += sorted(found, key=lambda gap: gap.distance, reverse=True)[:1]
    return gaps


def _store_gaps(rows: pl.DataFrame) -> list[Gap]:
    store = rows.filter(pl.col("metric") == "kv_store")
    measured = metrics.best(store.filter(pl.col("variant") == "numpy_per_layer"))
    ceiling = targets.store_ceiling_tokens_s(rows)
    if measured is None or ceiling is None:
        return []
    wanted = targets.KV_STORE.wanted
    limit, limit_is = (
        (wanted, "the week's target") if wanted <= ceiling else (ceiling, "fp16 copy ceiling")
    )
    return [
        Gap(
            "KV store rate, NumPy per layer, fp32",
            measured,
            limit,
            "tokens/s",
            limit_is,
            "Day 3: fp16, non-temporal stores",
        )
    ]


def _footprint_gaps(rows: pl.DataFrame, ram_bytes: int) -> list[Gap]:
    """Hold the longest projected context at fp16 against this machine's memory."""
    needed = metrics.best(rows, metric="kv_footprint", variant="fp16")
    if needed is None:
        return []
    case = rows.filter(
        pl.col("metric") == "kv_footprint", pl.col("variant") == "fp16", pl.col("value") == needed
    )
    what = case["case"][0].replace("model=", "").replace("tokens=", "")
    return [
        Gap(
            f"KV memory at fp16, {what} tokens",
            needed / 1e9,
            ram_bytes / 1e9,
            "GB",
            "this machine's memory",
            "Day 22: int8, int4, lossless KV",
            smaller_is_better=True,
        )
    ]
