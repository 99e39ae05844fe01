"""Restore one workload with one variant, pass after pass, and prove once that the bytes are right.

Follows: requests are made before the timing; a pass ends when everything is there and written back.
Leaves out: interleaving the variants and judging them (restore.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.storage.device_watch import DeviceWatch
from workbench.benchmark.storage.restore_variants import System, Variant
from workbench.benchmark.storage.restore_workloads import Extent, FileName, Step, Workload, shifted
from workbench.tiering.async_io.engine import Op, Request

_Batches = list[tuple[list[Request], list[Request]]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pass reads from and to.

    Attributes
    ----------
    files : mapping          what each name of a file means
    memory : memoryview      as long as what a pass reads, backed
    payload : memoryview     what is written back
    shifts : tuple of int    bytes; each pass reads this much further on than the first, in turn, so
                             that no pass finds what the one before it left in memory
    """

    files: Mapping[FileName, Path]
    memory: memoryview
    payload: memoryview
    shifts: tuple[int, ...]


class RestorePass:
    """One variant on one workload."""

    def __init__(self, workload: Workload, variant: Variant, system: System, place: Place) -> None:
        """Open the files and make every pass's requests."""
        self.workload = workload
        self._system = system
        self._place = place
        writes: set[FileName] = {one.file for step in workload.steps for one in step.writes}
        self._handles = {
            name: system.engine.open(place.files[name], writable=name in writes)
            for name in sorted(workload.files | writes)
        }
        self.watches = [
            DeviceWatch(f"{workload.name}: {name}", system.engine, self._handles[name])
            for name in sorted(workload.files)
        ]
        self._passes = [self._batches(variant, shift) for shift in place.shifts]
        self._next = 0

    def run(self) -> float:
        """Make one pass and return its seconds."""
        for watch in self.watches:
            watch.before_sample()
        batches = self._passes[self._next]
        self._next = (self._next + 1) % len(self._passes)
        move, finish = self._system.move, self._system.finish
        start = perf_counter()
        for reads, writes in batches:
            move(reads, writes)
        finish()
        return perf_counter() - start

    def verify(self) -> None:
        """Make every pass once and compare what was read with what plain calls read.

        Raises
        ------
        MediumError   if a byte differs
        """
        for shift in self._place.shifts:
            self._place.memory[:] = bytes(len(self._place.memory))
            self.run()
            at = 0
            for extent in shifted(self.workload.reads, shift):
                got = self._place.memory[at : at + extent.n_bytes]
                if got != _plain_read(self._place.files[extent.file], extent):
                    raise MediumError(
                        f"{self.workload.name} by {self._system.engine.kind}: other bytes came "
                        f"back at {extent.offset} of the {extent.file} file than plain calls read"
                    )
                at += extent.n_bytes

    def _batches(self, variant: Variant, shift: int) -> _Batches:
        block_bytes = variant.block_kib << 10
        steps = self.workload.steps
        if variant.whole:
            reads = tuple(one for step in steps for one in step.reads)
            steps = (Step(reads, tuple(one for step in steps for one in step.writes)),)
        batches: _Batches = []
        at = 0
        for step in steps:
            reads = tuple(shifted(step.reads, shift))
            moved = self._requests("read", reads, block_bytes, self._place.memory[at:])
            written = [
                request
                for extent in shifted(step.writes, shift)
                for request in self._requests("write", [extent], block_bytes, self._place.payload)
            ]
            batches.append((moved, written))
            at += sum(one.n_bytes for one in reads)
        return batches

    def _requests(
        self, op: Op, extents: Sequence[Extent], block_bytes: int, memory: memoryview
    ) -> list[Request]:
        requests, at = [], 0
        for extent in extents:
            for piece in extent.pieces(block_bytes):
                buffer = memory[at : at + piece.n_bytes]
                requests.append(Request(op, self._handles[extent.file], piece.offset, buffer))
                at += piece.n_bytes
        return requests


def _plain_read(path: Path, extent: Extent) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, extent.n_bytes, extent.offset)
    finally:
        os.close(fd)
