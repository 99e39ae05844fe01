"""Measure sequential reads and writes over block sizes, device and page cache side by side.

Follows: a page cache passed off as an SSD is the mistake this exists for, so every figure names its
medium and the medium is proven (storage_media.py).
Leaves out: random access, and deep queues of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from workbench.benchmark.progress import track
from workbench.benchmark.statistics import MIN_ROUNDS, Ratio
from workbench.benchmark.storage import storage_tables
from workbench.benchmark.storage.storage_media import Medium, open_media
from workbench.benchmark.storage.storage_sampling import (
    MIN_BLOCKS,
    Bench,
    FioCeiling,
    Group,
    measure_group,
)
from workbench.errors import UsageError
from workbench.tiering.async_io.buffers import (
    aligned_buffer,
    fill_random,
    huge_buffer,
)
from workbench.tiering.async_io.engine import Op
from workbench.tiering.memory import huge_pages_granted

OPS: tuple[Op, Op] = ("read", "write")

_KIB, _MIB = 1 << 10, 1 << 20
# Blocks of a sample come from this much random memory; it fits a core's own cache.
_PAYLOAD_BYTES = _MIB

_CACHE_WRITES = "page-cache writes are flushed after each sample, outside the timing"
_HUGE = (
    "ordinary pages lie scattered in memory, so a large block reaches the device in many pieces; "
    "in huge pages it is one piece. fio ran with huge pages, to be a ceiling; how far ordinary "
    "pages fall below it depends on how scattered memory is at the time"
)
_NO_HUGE = "this system gives no huge pages, so every buffer lies in ordinary, scattered ones"
_BELOW = (
    "device writes rewrite existing blocks without a flush: the drive's own write cache, and a "
    "virtual machine's host cache, lie inside the device figures"
)


class SweepArguments(Protocol):
    """What a sweep needs to know; a day's plan has these among others."""

    @property
    def block_kib(self) -> tuple[int, ...]:
        """Block sizes in KiB, multiples of 4."""

    @property
    def file_mib(self) -> int:
        """Size of each of the two test files."""

    @property
    def sample_mib(self) -> int:
        """Most that one timed sample moves."""

    @property
    def rounds(self) -> int:
        """Interleaved rounds, at least 10."""

    @property
    def fio_ms(self) -> int:
        """Duration of one fio run."""

    @property
    def fio_rounds(self) -> int:
        """Runs of fio for each size, direction and depth; 0 leaves fio out."""


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """Sweep arguments for callers without a day; see `SweepArguments`."""

    block_kib: tuple[int, ...] = (4, 16, 64, 256, 1024)
    file_mib: int = 64
    sample_mib: int = 4
    rounds: int = MIN_ROUNDS
    fio_ms: int = 200
    fio_rounds: int = 2


@dataclass(frozen=True, slots=True)
class StorageSweep:
    """What `measure` found.

    Attributes
    ----------
    groups : tuple of Group   the raw samples, one a direction and block size
    metrics : DataFrame       long rows, workbench.benchmark.metrics.SCHEMA
    table : DataFrame         one row a direction, block size and medium (storage_tables.py)
    proof : DataFrame         one row a medium: how it was proven to be one
    notes : tuple of str      what a reader must know beside the figures
    """

    groups: tuple[Group, ...]
    metrics: pl.DataFrame
    table: pl.DataFrame
    proof: pl.DataFrame
    notes: tuple[str, ...]

    def ratio(self, op: Op, block_kib: int) -> Ratio:
        """Return how many times the device's rate the page cache reaches, from paired rounds.

        Raises
        ------
        UsageError   if that direction and size were not measured
        """
        for group in self.groups:
            if (group.op, group.block_kib) == (op, block_kib):
                return group.samples.ratio("page_cache", "device")
        measured = ", ".join(f"{group.op} {group.block_kib} KiB" for group in self.groups)
        raise UsageError(f"{op} {block_kib} KiB was not measured; measured: {measured}")


def measure(
    store: Path, plan: SweepArguments, seed: int = 0, *, direct: bool = True
) -> StorageSweep:
    """Measure every block size and direction on both media.

    Parameters
    ----------
    store : Path             folder on the disk to measure; two files live there meanwhile
    plan : SweepArguments    a day's plan or a `SweepPlan`
    seed : int               >= 0, of the files' content and of what is written
    direct : bool            False measures the device without O_DIRECT, as where it is refused

    Raises
    ------
    UsageError    if the plan cannot be measured; names every problem
    MediumError   if there is no room, the store lies in memory, or gives back wrong bytes

    Cost    per size and direction, at most (rounds + 2) * 0.2 s on the device and
            fio_rounds * 2 * (fio_ms + 0.4 s); and twice the file written once.
    """
    _check(plan, seed)
    ceiling = FioCeiling(plan.fio_ms, plan.fio_rounds)
    file_bytes = plan.file_mib * _MIB
    ordinary, huge = _payloads(max(_PAYLOAD_BYTES, max(plan.block_kib) * _KIB), seed)
    with open_media(store, file_bytes, seed, direct) as (device, cache):
        bench = Bench(
            device,
            cache,
            ordinary,
            huge,
            file_bytes,
            plan.sample_mib * _MIB,
            plan.rounds,
            ceiling,
        )
        steps = [(op, block_kib) for block_kib in plan.block_kib for op in OPS]
        groups = tuple(
            measure_group(bench, op, block_kib) for op, block_kib in track(steps, "storage sweep")
        )
        return StorageSweep(
            groups,
            storage_tables.metric_rows(groups),
            storage_tables.wide_table(groups),
            storage_tables.proof_table((device, cache)),
            (*_media_notes(device, cache), *ceiling.notes, _CACHE_WRITES),
        )


def _payloads(n_bytes: int, seed: int) -> tuple[memoryview, memoryview | None]:
    """Return random memory in ordinary pages, and the same in huge ones where there are any."""
    ordinary = aligned_buffer(n_bytes)
    fill_random(ordinary, np.random.default_rng([seed, 2]))
    if not huge_pages_granted():
        return ordinary, None
    huge = huge_buffer(n_bytes)
    huge[:] = ordinary
    return ordinary, huge


def _media_notes(device: Medium, cache: Medium) -> list[str]:
    notes = [_HUGE if huge_pages_granted() else _NO_HUGE]
    if device.direct:
        notes.append(_BELOW)
    else:
        reason = device.engine.stats().fallback_reason or "direct I/O was not asked for"
        notes.append(
            f"{reason}: the device was read buffered from a dropped cache (the kernel reads "
            "ahead, so single latencies flatter it) and written through block by block"
        )
    notes += [
        f"the {medium.name} is NOT proven: {medium.worst(medium.resident_after):.0%} of its file "
        "was in memory after the timing; do not trust its figures"
        for medium in (device, cache)
        if not medium.proven
    ]
    return notes


def _check(plan: SweepArguments, seed: int) -> None:
    problems = [
        f"block_kib={size} must be a multiple of 4 from 4 to 16384"
        for size in plan.block_kib
        if size % 4 or not 4 <= size <= 16384
    ]
    largest_mib = max(plan.block_kib, default=0) / _KIB
    if not plan.block_kib:
        problems.append("block_kib is empty; name at least one block size")
    if plan.file_mib < max(1, MIN_BLOCKS * largest_mib):
        problems.append(
            f"file_mib={plan.file_mib} holds fewer than {MIN_BLOCKS} of the largest block; "
            f"make it at least {max(1, MIN_BLOCKS * largest_mib):g}"
        )
    problems += [
        f"{name}={value} must be at least {least}"
        for name, value, least in (
            ("sample_mib", plan.sample_mib, 1),
            ("rounds", plan.rounds, MIN_ROUNDS),
            ("fio_ms", plan.fio_ms, 1),
            ("fio_rounds", plan.fio_rounds, 0),
            ("seed", seed, 0),
        )
        if value < least
    ]
    if problems:
        raise UsageError(problems)
