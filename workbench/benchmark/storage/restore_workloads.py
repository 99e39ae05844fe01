"""Say what a restore asks for: its consumer gets one step before it asks for the next.

Follows: the real model's KV, 64 tokens a block, one layer's K and V after the other; the order of
its own GGUF file's tensor table.
Leaves out: how the bytes come (restore_variants.py) and timing (restore_pass.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.mmap_gguf import GGUFHeader

SEQUENTIAL, RANDOM, MIXED, MODEL_LOAD = "sequential", "random", "mixed", "model_load"
SCATTERED = "scattered"
WORKLOADS = (SEQUENTIAL, RANDOM, MIXED, MODEL_LOAD)

# K and V of 64 tokens of SmolLM2-135M at fp16, in one layer and in all 30.
LAYER_BYTES = 2 * 64 * 3 * 64 * 2
BLOCK_BYTES = 30 * LAYER_BYTES
BLOCK_TOKENS = 64

# Reads that are asked for together where nothing orders them, and their size.
_SCATTERED_A_STEP = 64
SCATTERED_BYTES = 16 << 10
_APART = 4
# Blocks restored for each one that is written back.
READS_A_WRITE = 3

FileName = Literal["sequence", "written", "model"]


@dataclass(frozen=True, slots=True)
class Extent:
    """Contiguous bytes of one file; whole pages."""

    file: FileName
    offset: int
    n_bytes: int

    def pieces(self, block_bytes: int) -> list[Extent]:
        """Return the extent in blocks of at most so many bytes."""
        stop = self.offset + self.n_bytes
        return [
            Extent(self.file, at, min(block_bytes, stop - at))
            for at in range(self.offset, stop, block_bytes)
        ]


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked for at once, and what is written back meanwhile."""

    reads: tuple[Extent, ...]
    writes: tuple[Extent, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A restore from beginning to end.

    Attributes
    ----------
    random, writes_percent : bool, int   how fio is asked to move the same kind of bytes
    largest_kib : int                    no request is larger than this, whatever the block size
    """

    name: str
    steps: tuple[Step, ...]
    random: bool
    writes_percent: int = 0
    largest_kib: int = BLOCK_BYTES >> 10

    @property
    def reads(self) -> list[Extent]:
        """Return everything that is read, in order."""
        return [extent for step in self.steps for extent in step.reads]

    @property
    def n_bytes(self) -> int:
        """Return the bytes that are read and written."""
        extents = [extent for step in self.steps for extent in (*step.reads, *step.writes)]
        return sum(extent.n_bytes for extent in extents)

    @property
    def files(self) -> set[FileName]:
        """Return the files that are read."""
        return {extent.file for extent in self.reads}

    def first(self, n_steps: int) -> Workload:
        """Return the first steps alone."""
        return replace(self, steps=self.steps[:n_steps])


def sequential(n_blocks: int) -> Workload:
    """Return the restore of a sequence whose blocks lie one after the other."""
    return Workload(SEQUENTIAL, tuple(Step((_block(i),)) for i in range(n_blocks)), random=False)


def random_blocks(n_blocks: int, rng: np.random.Generator) -> Workload:
    """Return the restore of a sequence whose blocks lie anywhere in the store."""
    order = rng.permutation(n_blocks).tolist()
    return Workload(RANDOM, tuple(Step((_block(i),)) for i in order), random=True)


def mixed(n_blocks: int) -> Workload:
    """Return a restore during which every fourth block that moves is one written back."""
    steps = []
    for i in range(n_blocks):
        writes = (replace(_block(i), file="written"),) if i % READS_A_WRITE == 0 else ()
        steps.append(Step((_block(i),), writes))
    return Workload(MIXED, tuple(steps), random=False, writes_percent=100 // (READS_A_WRITE + 1))


def model_load(header: GGUFHeader, most_bytes: int) -> Workload:
    """Return the loading of a model, tensor after tensor in the order of its own table.

    Of a larger model the last ``most_bytes`` are loaded. Tensors begin and end anywhere; a page
    that two of them share is read with the first.
    """
    steps, end = [], max(0, header.file_bytes - most_bytes) // PAGE_BYTES * PAGE_BYTES
    for tensor in header.tensors:
        start = max(end, tensor.offset // PAGE_BYTES * PAGE_BYTES)
        # The last page may end beyond the file, where direct reads would be short.
        stop = min(
            _up(tensor.offset + tensor.n_bytes), header.file_bytes // PAGE_BYTES * PAGE_BYTES
        )
        if stop > start:
            steps.append(Step((Extent("model", start, stop - start),)))
            end = stop
    return Workload(MODEL_LOAD, tuple(steps), random=False)


def scattered(n_bytes: int, rng: np.random.Generator) -> Workload:
    """Return small reads at random places, no two of them neighbours: nothing to merge or foresee.

    Many are asked for at once, so that depth is the only thing that helps. Reads lie four times
    their size apart, which is further than merging reads through.
    """
    places = rng.permutation(n_bytes // SCATTERED_BYTES // _APART) * _APART * SCATTERED_BYTES
    extents = [Extent("sequence", at, SCATTERED_BYTES) for at in places.tolist()]
    steps = [
        Step(tuple(extents[i : i + _SCATTERED_A_STEP]))
        for i in range(0, len(extents), _SCATTERED_A_STEP)
    ]
    return Workload(SCATTERED, tuple(steps), random=True, largest_kib=SCATTERED_BYTES >> 10)


def shifted(extents: Sequence[Extent], by_bytes: int) -> list[Extent]:
    """Return the same extents further on in their files; a model has only its own place."""
    return [
        one if one.file == "model" else replace(one, offset=one.offset + by_bytes)
        for one in extents
    ]


def _block(number: int) -> Extent:
    return Extent("sequence", number * BLOCK_BYTES, BLOCK_BYTES)


def _up(n_bytes: int) -> int:
    return -(-n_bytes // PAGE_BYTES) * PAGE_BYTES
