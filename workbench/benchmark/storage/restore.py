"""Measure what each part of the I/O stack is worth to a restore: Day 2's experiment.

Follows: ablation, all variants of a workload interleaved round by round, fio around them; the
device proven to be reached (O_DIRECT read back, mincore), every byte compared once.
Leaves out: checksums and the index (sequence_restore.py), the kernel's own schedulers
(kernel_schedulers.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from workbench import paths
from workbench.benchmark.machine import identify
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import ScratchFile, refuse_memory, scratch_files, verify
from workbench.benchmark.statistics import MIN_ROUNDS, Ratio
from workbench.benchmark.storage import restore_tables, restore_workloads
from workbench.benchmark.storage.device_watch import proof_table
from workbench.benchmark.storage.fio import FioJob, FioResult
from workbench.benchmark.storage.restore_ceiling import FioRounds, job_for
from workbench.benchmark.storage.restore_pass import Place, RestorePass
from workbench.benchmark.storage.restore_variants import Variant, baseline_of, opened, variants_for
from workbench.benchmark.storage.restore_workloads import (
    BLOCK_BYTES,
    BLOCK_TOKENS,
    MIXED,
    MODEL_LOAD,
    RANDOM,
    SCATTERED,
    SEQUENTIAL,
    FileName,
    Workload,
)
from workbench.errors import UsageError
from workbench.inference.model_file import model_file
from workbench.tiering import mmap_gguf
from workbench.tiering.async_io.block_size import choose_block_size
from workbench.tiering.async_io.buffers import aligned_buffer, fill_random, huge_buffer
from workbench.tiering.async_io.kernel_scheduler import kernel_scheduler
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.memory import huge_pages_granted

ALL = (*restore_workloads.WORKLOADS, SCATTERED)

_KIB, _MIB = 1 << 10, 1 << 20


class RestoreArguments(Protocol):
    """What the experiment needs to know; Day 2's plan has these among others."""

    @property
    def workloads(self) -> tuple[str, ...]:
        """Some of `ALL`."""

    @property
    def block_kib(self) -> int | None:
        """Request size of the optimised variants, KiB; None: what a sweep of the device finds."""

    @property
    def queue_depth(self) -> int:
        """Requests in flight of the variants that have more than one."""

    @property
    def tokens(self) -> int:
        """Length of the restored sequence."""

    @property
    def model(self) -> str:
        """Name or path of the model whose load order is read."""

    @property
    def model_mib(self) -> int:
        """Read the last so many MiB of the model at most."""

    @property
    def rounds(self) -> int:
        """Interleaved rounds, at least 10."""

    @property
    def fio_ms(self) -> int:
        """Duration of one fio run."""

    @property
    def fio_runs(self) -> int:
        """Runs of fio for each block size and depth of a workload; 0 leaves fio out."""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """Arguments for callers without a day; see `RestoreArguments`."""

    workloads: tuple[str, ...] = (SEQUENTIAL,)
    block_kib: int | None = None
    queue_depth: int = 32
    tokens: int = 512
    model: str = "smollm2-135m"
    model_mib: int = 24
    rounds: int = MIN_ROUNDS
    fio_ms: int = 100
    fio_runs: int = 2


@dataclass(frozen=True, slots=True)
class Group:
    """One workload: its variants, their rounds, and fio's runs by job."""

    workload: Workload
    variants: tuple[Variant, ...]
    samples: Samples
    jobs: Mapping[str, FioJob]
    fio: Mapping[FioJob, Sequence[FioResult]]

    @property
    def baseline(self) -> str:
        """Return the variant that the others are held against."""
        return baseline_of(self.workload.name)


@dataclass(frozen=True, slots=True)
class Restore:
    """What `measure` found.

    Attributes
    ----------
    groups : tuple of Group   the raw samples, one a workload
    block_kib : int           the block size of the optimised variants
    metrics : DataFrame       long rows, workbench.benchmark.metrics.SCHEMA
    table : DataFrame         one row a workload and variant (restore_tables.py)
    proof : DataFrame         one row a file and engine: how the device was proven to be reached
    notes : tuple of str      what a reader must know beside the figures
    """

    groups: tuple[Group, ...]
    block_kib: int
    metrics: pl.DataFrame
    table: pl.DataFrame
    proof: pl.DataFrame
    notes: tuple[str, ...]

    def ratio(self, workload: str, contender: str, baseline: str) -> Ratio:
        """Return how many times the baseline's rate a variant reaches, from paired rounds.

        Raises
        ------
        UsageError   if the workload or a variant was not measured
        """
        samples = self._group(workload).samples
        missing = [name for name in (contender, baseline) if name not in samples.seconds]
        if missing:
            raise UsageError(
                f"{', '.join(missing)} was not measured on {workload}; "
                f"measured: {', '.join(samples.seconds)}"
            )
        return samples.ratio(contender, baseline)

    def best(self, workload: str) -> str:
        """Return the variant with the highest median rate."""
        samples = self._group(workload).samples
        return max(samples.seconds, key=samples.median_rate)

    def _group(self, workload: str) -> Group:
        for group in self.groups:
            if group.workload.name == workload:
                return group
        measured = ", ".join(group.workload.name for group in self.groups)
        raise UsageError(f"workload {workload} was not measured; measured: {measured}")


def measure(store: Path, plan: RestoreArguments, seed: int = 0) -> Restore:
    """Restore every workload with every variant.

    Parameters
    ----------
    store : Path              folder on the disk to measure; two files live there meanwhile
    plan : RestoreArguments   a day's plan or a `RestorePlan`
    seed : int                >= 0, of the content and of random orders

    Raises
    ------
    UsageError    if the plan cannot be measured; names every problem
    MediumError   if there is no room, the store lies in memory, or gives back wrong bytes
    DataError     if the model is not there

    Cost    a workload: ``rounds + 3`` passes of ten variants, the baseline's about 0.6 s for 4,096
            tokens and all others' together as much; and ``3 * fio_runs * (fio_ms + 0.5 s)``.
    """
    _check(plan, seed)
    model = model_file(plan.model) if MODEL_LOAD in plan.workloads else None
    sequence_bytes = plan.tokens // BLOCK_TOKENS * BLOCK_BYTES
    # Room for two sequences: each pass reads another one than the pass before it.
    sizes = dict.fromkeys(("sequence", "written"), -(-2 * sequence_bytes // _MIB) * _MIB)
    with scratch_files(store, sizes, seed) as files:
        _prove(store, files["sequence"])
        block_kib = plan.block_kib or _choose_block_kib(store, files["sequence"], plan.queue_depth)
        names: dict[FileName, Path] = {
            "sequence": files["sequence"].path,
            "written": files["written"].path,
        }
        if model is not None:
            names["model"] = model
        bench = _Bench(names, sequence_bytes, block_kib, plan, seed)
        measured = [bench.measure(workload) for workload in _workloads(plan, names, seed)]
    groups = tuple(group for group, _, _ in measured)
    fio_notes = [note for _, _, notes in measured for note in notes]
    return Restore(
        groups,
        block_kib,
        restore_tables.metric_rows(groups),
        restore_tables.wide_table(groups),
        restore_tables.proof([proof for _, proof, _ in measured]),
        (*_notes(store, plan, block_kib), *dict.fromkeys(fio_notes)),
    )


def _check(plan: RestoreArguments, seed: int) -> None:
    problems = [
        f"workload {name!r} is unknown; there are {', '.join(ALL)}"
        for name in plan.workloads
        if name not in ALL
    ]
    if not plan.workloads or len(set(plan.workloads)) != len(plan.workloads):
        problems.append(f"workloads={plan.workloads} must name at least one, each once")
    if plan.block_kib is not None and (plan.block_kib % 4 or not 4 <= plan.block_kib <= 2048):
        problems.append(f"block_kib={plan.block_kib} must be a multiple of 4 from 4 to 2048")
    problems += [
        f"{name}={value} must be {least} to {most}"
        for name, value, least, most in (
            ("tokens", plan.tokens, 2 * BLOCK_TOKENS, 1 << 20),
            ("queue_depth", plan.queue_depth, 2, 1024),
            ("model_mib", plan.model_mib, 1, 1 << 20),
            ("rounds", plan.rounds, MIN_ROUNDS, 1000),
            ("fio_ms", plan.fio_ms, 1, 60_000),
            ("fio_runs", plan.fio_runs, 0, 100),
            ("seed", seed, 0, 2**32 - 1),
        )
        if not least <= value <= most
    ]
    if problems:
        raise UsageError(problems)


def _prove(store: Path, file: ScratchFile) -> None:
    """Refuse a store that is no disk, and a disk that gives back other bytes."""
    with open_engine("auto") as engine:
        handle = engine.open(file.path)
        refuse_memory(store, engine.fileno(handle))
        verify(engine, handle, file)


def _choose_block_kib(store: Path, file: ScratchFile, depth: int) -> int:
    with open_engine("auto", depth=depth) as engine:
        kept = paths.data() / "block_sizes"
        return choose_block_size(engine, file.path, kept, identify(store).id).block_bytes // _KIB


def _workloads(plan: RestoreArguments, files: Mapping[FileName, Path], seed: int) -> list[Workload]:
    """Make the workloads that were asked for, in the order asked for."""
    rng = np.random.default_rng([seed, 3])
    n_blocks = plan.tokens // BLOCK_TOKENS
    n_bytes = n_blocks * BLOCK_BYTES
    made = []
    for name in plan.workloads:
        if name == MODEL_LOAD:
            header = mmap_gguf.read_header(files["model"])
            made.append(restore_workloads.model_load(header, plan.model_mib * _MIB))
        elif name == SCATTERED:
            made.append(restore_workloads.scattered(n_bytes, rng))
        elif name == RANDOM:
            made.append(restore_workloads.random_blocks(n_blocks, rng))
        else:
            make = {SEQUENTIAL: restore_workloads.sequential, MIXED: restore_workloads.mixed}[name]
            made.append(make(n_blocks))
    return made


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all workloads share."""

    files: Mapping[FileName, Path]
    sequence_bytes: int
    block_kib: int
    plan: RestoreArguments
    seed: int

    def measure(self, workload: Workload) -> tuple[Group, pl.DataFrame, list[str]]:
        """Open every variant, prove its bytes, then interleave them all with fio around."""
        plan = self.plan
        variants = variants_for(workload.name, self.block_kib, plan.queue_depth)
        jobs = {one.name: job_for(workload, one, plan.fio_ms) for one in variants}
        fio = FioRounds(self._fio_file(workload), jobs.values(), plan.rounds, plan.fio_runs)
        with ExitStack() as stack:
            passes = self._passes(workload, variants, stack)
            for one in passes:
                one.verify()
            watches = [watch for one in passes for watch in one.watches]
            for watch in watches:
                watch.chill()
            cases = [
                Case(variant.name, one.run, float(workload.n_bytes))
                for variant, one in zip(variants, passes, strict=True)
            ]
            fio.on_round(0)
            with meter(f"restore, {workload.name}", plan.rounds) as report:

                def on_round(done: int) -> None:
                    fio.on_round(done)
                    report(done)

                samples = interleave(cases, plan.rounds, on_round)
            for watch in watches:
                watch.conclude()
            proof = proof_table(watches)
        return Group(workload, variants, samples, jobs, fio.results), proof, fio.notes

    def _passes(
        self, workload: Workload, variants: Sequence[Variant], stack: ExitStack
    ) -> list[RestorePass]:
        n_bytes = sum(extent.n_bytes for extent in workload.reads)
        memory = {False: aligned_buffer(n_bytes), True: huge_buffer(n_bytes)}
        payload = huge_buffer(BLOCK_BYTES)
        fill_random(payload, np.random.default_rng([self.seed, 4]))
        passes = []
        for variant in variants:
            system = stack.enter_context(opened(variant, memory[variant.huge]))
            place = Place(self.files, memory[variant.huge], payload, (0, self.sequence_bytes))
            passes.append(RestorePass(workload, variant, system, place))
        return passes

    def _fio_file(self, workload: Workload) -> Path:
        # What fio writes must not be what is read and compared.
        if workload.writes_percent:
            return self.files["written"]
        return self.files[workload.reads[0].file]


def _notes(store: Path, plan: RestoreArguments, block_kib: int) -> list[str]:
    kernel = kernel_scheduler(store)
    chosen = "as asked for" if plan.block_kib else "the smallest a sweep found as good as any"
    disk, means = kernel.device or "this disk", kernel.current or "unknown means"
    fixed = f", which cannot be changed here: {kernel.reason}" if kernel.reason else ""
    notes = [
        f"optimised variants move {block_kib} KiB a request ({chosen}), {plan.queue_depth} in "
        "flight",
        f"the kernel schedules {disk} by {means}{fixed}",
    ]
    if not huge_pages_granted():
        notes.append("this system gives no huge pages, so huge_pages means ordinary ones")
    return notes
