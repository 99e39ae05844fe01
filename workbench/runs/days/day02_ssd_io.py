"""Day 2: what each part of the I/O stack is worth when a sequence or a model is restored.

Follows: ablation over the restore workloads, the baseline being Day 1's engine.
Leaves out: how things are measured (workbench/benchmark/storage/restore.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from workbench.runs import environment
from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    import polars as pl

BlockKib = Literal[16, 32, 64, 128, 256, 512, 1024]
WorkloadName = Literal["sequential", "random", "mixed", "model_load", "scattered"]


@dataclass(frozen=True, slots=True)
class Day02Plan:
    """What one preset measures, and how often.

    Attributes
    ----------
    workloads : tuple of str     what is restored, in order
    block_kib : int or None      request size of the optimised variants; None: found by a sweep
    queue_depth : int            requests in flight of the variants with more than one
    tokens : int                 length of the restored sequence
    model, model_mib             the model that is loaded, and how much of its end at most
    rounds : int                 timed rounds of every variant, interleaved
    fio_ms, fio_runs : int       running time of one fio job, milliseconds, and jobs a case
    scheduler_rounds : int       rounds of the kernel's I/O schedulers
    """

    workloads: tuple[str, ...]
    block_kib: int | None
    queue_depth: int
    tokens: int
    model: str
    model_mib: int
    rounds: int
    fio_ms: int
    fio_runs: int
    scheduler_rounds: int


@dataclass(frozen=True, slots=True)
class _Size:
    """What a preset amounts to."""

    workloads: tuple[WorkloadName, ...]
    tokens: int
    model_mib: int
    rounds: int
    fio_ms: int
    fio_runs: int
    scheduler_rounds: int


_WORKLOADS: tuple[WorkloadName, ...] = ("sequential", "random", "mixed", "model_load", "scattered")
_SIZES: dict[Preset, _Size] = {
    "tiny": _Size(("sequential", "mixed", "scattered"), 256, 8, 10, 50, 1, 10),
    "standard": _Size(_WORKLOADS, 2048, 128, 14, 200, 3, 14),
    "full": _Size(_WORKLOADS, 4096, 1024, 40, 1000, 5, 40),
}


class Day02Params(DayParams):
    """Parameters of Day 2."""

    block_kib: BlockKib | None = param(
        None, "request size of the optimised variants; None: found by a sweep", unit="KiB"
    )
    queue_depth: int = param(32, "requests in flight", unit="requests", ge=2, le=256)
    workload: WorkloadName = param("sequential", "workload shown in detail")
    model: str = param("smollm2-135m", "model that is loaded in the order of its own table")
    rounds: int | None = param(None, "timed rounds; None: the preset's", ge=10, le=200)

    def plan(self) -> Day02Plan:
        """Return what the preset measures, with what was asked for in its place."""
        size = _SIZES[self.preset]
        return Day02Plan(
            # The one shown in detail is always among them.
            workloads=tuple(dict.fromkeys((*size.workloads, self.workload))),
            block_kib=self.block_kib,
            queue_depth=self.queue_depth,
            tokens=size.tokens,
            model=self.model,
            model_mib=size.model_mib,
            rounds=self.rounds or size.rounds,
            fio_ms=size.fio_ms,
            fio_runs=size.fio_runs,
            scheduler_rounds=size.scheduler_rounds,
        )


DAY02 = Day(
    name="day02",
    title="Day 2: SSD I/O",
    question="What is each I/O optimisation worth when a sequence or a model is restored?",
    claim="The best restore is at least 1.3x the baseline engine at the chosen block size.",
    notebook="day02_ssd_io.ipynb",
    params=Day02Params,
    cell_timeout_s=1200,
)


def measure_workload(params: Day02Params) -> pl.DataFrame:
    """Measure one workload as the day does: a row a variant.

    Cost    about 5 s with preset tiny, 40 s with standard.
    """
    from workbench.benchmark.storage import restore

    plan = replace(params.plan(), workloads=(params.workload,))
    return restore.measure(environment.resolve_store(params.store), plan, params.seed).table
