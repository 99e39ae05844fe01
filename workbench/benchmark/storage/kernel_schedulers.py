"""Compare the kernel's I/O schedulers for the store's disk, where the machine lets us switch them.

Follows: all interleaved, each sample under its own scheduler; the one that was in use comes back.
Leaves out: tuning any of them; machines that refuse, which the notes say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import scratch_files
from workbench.benchmark.statistics import MIN_ROUNDS
from workbench.benchmark.storage import restore_workloads
from workbench.benchmark.storage.restore_pass import Place, RestorePass
from workbench.benchmark.storage.restore_variants import (
    QUEUE_DEPTH,
    SMALL_KIB,
    WHOLE_PLAN,
    Variant,
    opened,
)
from workbench.benchmark.storage.restore_workloads import BLOCK_BYTES, Workload
from workbench.tiering.async_io.buffers import huge_buffer
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.kernel_scheduler import kernel_scheduler, switched

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class SchedulersPlan:
    """Blocks of the sequence that is read, request size, requests in flight, rounds."""

    n_blocks: int = 8
    block_kib: int = 256
    queue_depth: int = 32
    rounds: int = MIN_ROUNDS


@dataclass(frozen=True, slots=True)
class KernelSchedulers:
    """What `measure` found; without a choice there are no rows, and the notes say why.

    Attributes
    ----------
    metrics : DataFrame    long rows: metric ``kernel_scheduler_<workload>``, variant: its name
    table : DataFrame      one row a workload and scheduler, beside the one that was in use
    notes : tuple of str   what is in use, and why it was or was not compared
    """

    metrics: pl.DataFrame
    table: pl.DataFrame
    notes: tuple[str, ...]


_TABLE: dict[str, pl.DataType] = {
    "workload": pl.String(),
    "scheduler": pl.String(),
    "GB/s": pl.Float64(),
    "of the one in use": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
}


def measure(store: Path, plan: SchedulersPlan | None = None, seed: int = 0) -> KernelSchedulers:
    """Read a sequence in large requests, and small ones at random, under every scheduler.

    The disk's scheduler is switched for the whole machine, a few milliseconds at a time.

    Raises
    ------
    MediumError    if the device was not proven to be reached
    StorageError   if the scheduler that was in use could not be put back

    Cost    ``(rounds + 1)`` short samples of both workloads a scheduler, and a switch each.
    """
    plan = plan or SchedulersPlan()
    store.mkdir(parents=True, exist_ok=True)
    kernel = kernel_scheduler(store)
    in_use = f"the kernel schedules {kernel.device or 'this disk'} by {kernel.current or 'nothing'}"
    if not kernel.switchable:
        return _not_compared(f"{in_use}; others were not compared: {kernel.reason}")
    # The one in use first: the others are held against it.
    names = [kernel.current, *(name for name in kernel.offered if name != kernel.current)]
    try:
        measured = _measure(store, plan, names, seed)
    except _RefusedError as error:
        return _not_compared(f"{in_use}; others were not compared: {error}")
    pairs = [(workload, name) for workload in measured for name in names]
    return KernelSchedulers(
        pl.concat([_rows(workload, name, measured[workload]) for workload, name in pairs]),
        pl.DataFrame(
            [_line(workload, name, measured[workload], names[0]) for workload, name in pairs],
            schema=_TABLE,
        ),
        (f"{in_use}; compared with {', '.join(names[1:])}, and put back",),
    )


class _RefusedError(StorageError):
    """The kernel offers a scheduler, and then does not take it."""


def _not_compared(note: str) -> KernelSchedulers:
    return KernelSchedulers(metrics.empty(), pl.DataFrame(schema=_TABLE), (note,))


def _measure(
    store: Path, plan: SchedulersPlan, names: Sequence[str], seed: int
) -> dict[str, Samples]:
    n_bytes = plan.n_blocks * BLOCK_BYTES
    large = Variant(WHOLE_PLAN, plan.block_kib, plan.queue_depth, huge=True, whole=True)
    small = Variant(QUEUE_DEPTH, SMALL_KIB, plan.queue_depth, huge=True)
    workloads = (
        (restore_workloads.sequential(plan.n_blocks), large),
        (restore_workloads.scattered(n_bytes, np.random.default_rng(seed)), small),
    )
    with scratch_files(store, {"sequence": -(-n_bytes // _MIB) * _MIB}, seed) as files:
        return {
            workload.name: _interleave(files["sequence"].path, plan, names, workload, variant)
            for workload, variant in workloads
        }


def _interleave(
    file: Path, plan: SchedulersPlan, names: Sequence[str], workload: Workload, variant: Variant
) -> Samples:
    memory = huge_buffer(workload.n_bytes)
    with opened(variant, memory) as system:
        place = Place({"sequence": file}, memory, memory[:0], (0,))
        one_pass = RestorePass(workload, variant, system, place)
        one_pass.verify()
        for watch in one_pass.watches:
            watch.chill()
        cases = [
            Case(name, _under(name, file, one_pass.run), float(workload.n_bytes)) for name in names
        ]
        with meter(f"kernel schedulers, {workload.name}", plan.rounds) as on_round:
            samples = interleave(cases, plan.rounds, on_round)
        for watch in one_pass.watches:
            watch.conclude()
            watch.demand()
    return samples


def _under(name: str, path: Path, run: Callable[[], float]) -> Callable[[], float]:
    """Return ``run`` under a scheduler; switching is no part of its seconds."""

    def switched_run() -> float:
        with switched(path, name) as switch:
            if not switch.applied:
                raise _RefusedError(switch.reason)
            return run()

    return switched_run


def _rows(workload: str, name: str, samples: Samples) -> pl.DataFrame:
    metric, rates = f"kernel_scheduler_{workload}", samples.rate(name) / 1e9
    return metrics.rows(metric, "GB/s", rates, tier="device", variant=name)


def _line(workload: str, name: str, samples: Samples, in_use: str) -> dict[str, object]:
    ratio = samples.ratio(name, in_use)
    return {
        "workload": workload,
        "scheduler": name,
        "GB/s": samples.median_rate(name) / 1e9,
        "of the one in use": ratio.median,
        "low": ratio.low,
        "high": ratio.high,
    }
