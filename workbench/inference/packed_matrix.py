"""Pack a matrix's rows as the kernels want them, wherever the packed bytes are to lie.

Follows: rows interleaved by eight, once (kernels/interleave.py).
Leaves out: where raw rows come from and packed ones go (weights.py, layer_stream.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.interleave import SOURCE, job_of, move_groups, set_addresses
from workbench.inference.weight_layouts import LAYOUTS, WeightLayout
from workbench.tiering.mmap_gguf import TensorInfo

ROWS = 8
# Aligns each matrix; what is asked for ahead of its use at a matrix's end is the next one.
_ALIGN_BYTES = 64


@dataclass(frozen=True, slots=True, eq=False)
class PackedMatrix:
    """A matrix in its layout.

    Attributes
    ----------
    layout : WeightLayout
    memory : uint8[n_groups, group_bytes]   eight rows a group, the last padded with zeros
    row_values : int                        columns
    n_rows : int
    job : int64[JOB_VALUES]                 how rows get there, as kernels/interleave.py takes it;
                                            but for where the first row is
    """

    layout: WeightLayout
    memory: NDArray[np.uint8]
    row_values: int
    n_rows: int
    job: NDArray[np.int64]

    @property
    def entry(self) -> tuple[int, int, int, int]:
        """Return what `llama_plan` keeps: layout, address, groups, values a row."""
        address = int(self.memory.ctypes.data)
        return self.layout.number, address, len(self.memory), self.row_values

    def pack(self, raw: NDArray[np.uint8], rows: slice) -> None:
        """Pack some rows.

        Parameters
        ----------
        raw : uint8[n]   the rows as they stand in the file
        rows : slice     which ones; begins at a multiple of eight and ends at one or at the end

        Cost    the bytes at 4 to 13 GB/s; K and Q5 types, which are spread first, at about 2.
        """
        job = self.job.copy()
        # Kept until its rows are moved.
        words = self.begin_job(raw, job, rows)
        move_groups(job, rows.start // ROWS, -(-rows.stop // ROWS))
        del words

    def begin_job(
        self, raw: NDArray[np.uint8], job: NDArray[np.int64], rows: slice | None = None
    ) -> NDArray[np.uint16]:
        """Write how some rows are packed, all if nothing is said; return what must be kept for it.

        Parameters
        ----------
        raw : uint8[n]            the rows as they stand in the file
        job : int64[JOB_VALUES]   written; groups other than those of the rows must not be moved
        """
        first, stop = (0, self.n_rows) if rows is None else (rows.start, rows.stop)
        words = np.ascontiguousarray(self.layout.expand(raw.reshape(stop - first, -1)))
        if stop % ROWS:
            self.memory[-1] = 0
        job[:] = self.job
        job[SOURCE] = words.ctypes.data - first * words[0].nbytes
        return words


def entries_of(matrices: Mapping[str, PackedMatrix]) -> NDArray[np.int64]:
    """Return the entries of matrices in their order, int64[n, 4]."""
    return np.array([matrix.entry for matrix in matrices.values()], np.int64)


def n_rows(info: TensorInfo) -> int:
    """Return a matrix's rows."""
    return math.prod(info.shape[1:])


def row_runs(info: TensorInfo, n_bytes: int) -> list[slice]:
    """Return runs of rows of about so many raw bytes, whole groups of eight each."""
    count = n_rows(info)
    step = max(n_bytes // (info.n_bytes // count) // ROWS, 1) * ROWS
    return [slice(row, min(row + step, count)) for row in range(0, count, step)]


def packed_bytes(infos: Iterable[TensorInfo]) -> int:
    """Return the bytes that matrices take packed, one after the other."""
    return sum(map(_aligned_bytes, infos))


def placed(infos: Iterable[TensorInfo], memory: NDArray[np.uint8]) -> dict[str, PackedMatrix]:
    """Return a room for each matrix in memory, one after the other, by name; packs nothing."""
    matrices = {}
    start = 0
    for info in infos:
        groups, group_bytes = -(-n_rows(info) // ROWS), _group_bytes(info)
        room = memory[start : start + groups * group_bytes].reshape(groups, group_bytes)
        layout = LAYOUTS[info.ggml_type.name]
        job = job_of(_words_shape(info), layout.bases, layout.steps)
        set_addresses(job, 0, room.ctypes.data)
        matrices[info.name] = PackedMatrix(layout, room, info.shape[0], n_rows(info), job)
        start += _aligned_bytes(info)
    return matrices


def _group_bytes(info: TensorInfo) -> int:
    layout = LAYOUTS[info.ggml_type.name]
    return info.shape[0] // layout.block_values * layout.block_bytes


def _words_shape(info: TensorInfo) -> tuple[int, int, int]:
    layout = LAYOUTS[info.ggml_type.name]
    return n_rows(info), info.shape[0] // layout.block_values, layout.block_bytes // (2 * ROWS)


def _aligned_bytes(info: TensorInfo) -> int:
    n_bytes = -(-n_rows(info) // ROWS) * _group_bytes(info)
    return -(-n_bytes // _ALIGN_BYTES) * _ALIGN_BYTES
