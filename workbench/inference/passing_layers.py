"""Pack layers that pass into two places, each when the forward pass comes to it.

Follows: the threads that compute do the packing, between two steps; only reading goes on beside
them (layer_stream.py).
Leaves out: which layers pass, and those that stay (weights.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.inference.layer_stream import LayerStream
from workbench.inference.packed_matrix import PackedMatrix, entries_of, placed
from workbench.tiering.closing import Closing
from workbench.tiering.mmap_gguf import ModelMap, Tensor, TensorInfo
from workbench.tiering.mmap_gguf.layers import group_of
from workbench.tiering.reserved_memory import ReservedMemory

# A step may use two layers, as it projects the next one.
PLACES = 2

Matrices = dict[str, PackedMatrix]


class PassingLayer(NamedTuple):
    """A layer's number, and its matrices in the order of their use."""

    number: int
    infos: Sequence[TensorInfo]


class Packers(Protocol):
    """Who computes, and packs in between."""

    def resting(self) -> AbstractContextManager[None]:
        """Let all but this thread sleep meanwhile."""

    def pack(self, n_jobs: int) -> None:
        """Pack the first so many of the matrices that `PassingLayers` was given jobs for."""


class PassingLayers(Closing):
    """Layers that pass through two places. For one thread at a time."""

    def __init__(
        self,
        model: ModelMap,
        layers: Sequence[PassingLayer],
        place_bytes: int,
        jobs: NDArray[np.int64],
        on_packed: Callable[[int, NDArray[np.int64]], None],
    ) -> None:
        """Begin to read.

        Parameters
        ----------
        model : ModelMap       stays the caller's to close, after this
        layers : sequence      in the order of their use, at least one
        place_bytes : int      the most that a layer takes packed
        jobs : int64[most matrices of a layer, JOB_VALUES]   written to, for `Packers`
        on_packed : callable   told a layer's number and its matrices' entries, int64[n, 4], that
                               say where they are now

        Raises
        ------
        GGUFError, StorageError   as `LayerStream`
        """
        self.stream = LayerStream(model, [group_of(layer.infos) for layer in layers])
        rooms = [ReservedMemory(place_bytes).hold(0, place_bytes) for _ in range(PLACES)]
        self._matrices = [
            placed(layer.infos, rooms[turn % PLACES]) for turn, layer in enumerate(layers)
        ]
        self._numbers = [layer.number for layer in layers]
        self._entries = [entries_of(matrices) for matrices in self._matrices]
        self._jobs, self._on_packed = jobs, on_packed
        self._n_here = 0

    def begin(self) -> None:
        """Begin a pass at the first layer."""
        self._n_here = 0
        self.stream.begin()

    def are_here(self, stop: int) -> bool:
        """Tell whether the first ``stop`` of them were brought in this pass."""
        return self._n_here >= stop

    def bring(self, stop: int, packers: Packers) -> None:
        """Pack layers up to the first ``stop``; only the last two are then in their places.

        Raises
        ------
        GGUFError      if a file changed since the model was opened
        StorageError   if bytes cannot be read; `begin` before trying again
        """
        while self._n_here < stop:
            with nullcontext() if self.stream.is_read() else packers.resting():
                tensors = self.stream.take()
            matrices = self._matrices[self._n_here]
            self._pack(tensors, matrices, packers)
            self.stream.give_back()
            self._on_packed(self._numbers[self._n_here], self._entries[self._n_here])
            self._n_here += 1

    def _pack(self, tensors: Mapping[str, Tensor], matrices: Matrices, packers: Packers) -> None:
        # What the jobs read must stay until they are done.
        words = [
            matrix.begin_job(tensors[name].packed, self._jobs[number])
            for number, (name, matrix) in enumerate(matrices.items())
        ]
        packers.pack(len(words))

    def close(self) -> None:
        """Stop reading and let go of the memory; twice is harmless."""
        self.stream.close()
        self._matrices.clear()
