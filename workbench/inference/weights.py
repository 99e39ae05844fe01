"""Hold a model's weights in memory as the kernels want them: packed in the order of their use.

Follows: rows interleaved once at loading; one stretch of addresses, so that what is asked for ahead
of its use at a matrix's end is the next matrix. With less memory than they take, some layers stay
packed and the others pass through two places, read and packed again for every pass
(passing_layers.py); what stays is tiering/mmap_gguf/layer_plan.py's to say.
Leaves out: the embedding, whose rows are read from the file one by one.

The output matrix and the norms always stay: the output is used last and needed whole.
"""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dequantize import dequantize
from kernels.interleave import JOB_VALUES
from kernels.llama_plan import FIRST_MATRIX, blank_layers
from workbench.inference.compiler_pages import release_compiler_pages
from workbench.inference.layer_stream import STAGED, staged_bytes
from workbench.inference.llama_config import LlamaConfig
from workbench.inference.packed_matrix import (
    PackedMatrix,
    entries_of,
    packed_bytes,
    placed,
    row_runs,
)
from workbench.inference.passing_layers import (
    PLACES,
    Packers,
    PassingLayer,
    PassingLayers,
)
from workbench.inference.tensor_names import OUTPUT_NORM, layer_names, output_name
from workbench.tiering import memory
from workbench.tiering.closing import Closing
from workbench.tiering.mmap_gguf import ModelMap, TensorInfo
from workbench.tiering.mmap_gguf.layer_plan import LayerPlan, Passage, plan_layers
from workbench.tiering.mmap_gguf.layers import group_of
from workbench.tiering.reserved_memory import ReservedMemory

_PAD = 32  # rows of activations are padded to a multiple of it
# Read and packed at once by one thread; 64 KiB takes twice the time, 4 MiB no less.
_CHUNK_BYTES = 1 << 20
_MATRICES = ("query", "key", "value", "attention_output", "gate", "up", "down")
_BIASES = ("query_bias", "key_bias", "value_bias")


@dataclass(frozen=True, slots=True)
class WeightsStats:
    """Where a model's weights are, and what it cost that not all are in memory.

    Attributes
    ----------
    total_bytes : int         packed, all in memory
    budget_bytes : int        the most they may take; total_bytes where nothing was said
    resident_bytes : int      what they take: what stays, and the places of what passes
    layers, passing_layers : int
    read_bytes : int          read for layers that passed, since the model was opened
    waited_s : float          seconds that passes waited for them
    """

    total_bytes: int
    budget_bytes: int
    resident_bytes: int
    layers: int
    passing_layers: int
    read_bytes: int
    waited_s: float


class LlamaWeights(Closing):
    """All weights that a forward pass multiplies with.

    Attributes
    ----------
    matrices : dict            tensor name -> PackedMatrix; those of passing layers hold nothing
    vectors : dict             tensor name -> float32, padded with zeros to a multiple of 32
    layers : record[n_layers]  `llama_plan.LAYER`: addresses of the above, or of places
    jobs : int64[7, JOB_VALUES]   the packing of a layer that passes
    """

    def __init__(
        self,
        model: ModelMap,
        config: LlamaConfig,
        threads: int = 1,
        budget_bytes: int | None = None,
    ) -> None:
        """Read and pack what stays of a model's weights, and begin to read what does not.

        Parameters
        ----------
        model : ModelMap             stays the caller's to close, after this
        config : LlamaConfig         of that model
        threads : int                that pack side by side
        budget_bytes : int or None   the most that weights may take; None: as much as they do

        Raises
        ------
        UsageError     if the budget is too small, or they would not fit into memory
        GGUFError      if the file changed since it was opened
        StorageError   if a file cannot be opened for direct reads, where layers pass

        Cost    about 2 GB/s of the file a thread; memory as the file's, more only for Q5 types,
                Q4_K and bfloat16.
        """
        self._model, self._threads = model, threads
        self.vectors = {name: _vector(model, name) for name in _vector_names(config)}
        by_layer = [_infos(model, _matrix_names(layer)) for layer in range(config.layers)]
        self._packed = (*by_layer, _infos(model, [output_name(config)]))
        sizes = [_whole_pages(packed_bytes(infos)) for infos in self._packed]
        # Of every layer, then of the output.
        self._bounds = [0, *itertools.accumulate(sizes)]
        self.total_bytes = self._rest_bytes() + self._bounds[config.layers]
        self.budget_bytes = self.total_bytes if budget_bytes is None else budget_bytes
        self._plan = self._planned(self.budget_bytes)
        memory.require_memory(
            self._plan.needed_bytes,
            f"the weights of {model.header.path.name}",
            "use a smaller model or a smaller weights budget",
        )
        _fetch_kernels(model, [info for infos in self._packed for info in infos])
        self._room = ReservedMemory(self._bounds[-1])
        self.matrices = {
            name: matrix
            for infos, (start, stop) in zip(
                self._packed, itertools.pairwise(self._bounds), strict=True
            )
            for name, matrix in placed(infos, self._room.whole[start:stop]).items()
        }
        self.layers, self.jobs = _layers(config, self.vectors), blank_jobs()
        self._passing: PassingLayers | None = None
        self._read_bytes, self._waited_s = 0, 0.0
        self._load([*self._staying(), config.layers])
        self._let_pass()

    def vector_address(self, name: str) -> int:
        """Return where a vector lies."""
        return int(self.vectors[name].ctypes.data)

    @property
    def stats(self) -> WeightsStats:
        """Return where the weights are and what streaming them cost so far."""
        stream = self._passing.stream if self._passing else None
        return WeightsStats(
            total_bytes=self.total_bytes,
            budget_bytes=self.budget_bytes,
            resident_bytes=self._plan.needed_bytes,
            layers=len(self.layers),
            passing_layers=sum(self._plan.passing),
            read_bytes=self._read_bytes + (stream.read_bytes if stream else 0),
            waited_s=self._waited_s + (stream.waited_s if stream else 0.0),
        )

    def begin(self) -> None:
        """Begin a pass through all layers.

        Raises
        ------
        GGUFError, StorageError   if layers pass and the files cannot be opened to read them
        """
        self._let_pass()
        if self._passing is not None:
            self._passing.begin()

    def are_here(self, stop: int) -> bool:
        """Tell whether the layers before ``stop`` are in memory, or have been and may go."""
        return self._passing is None or self._passing.are_here(self._n_before[stop])

    def bring(self, stop: int, packers: Packers) -> None:
        """Bring the layers before ``stop`` into memory; all before the last two may go.

        Raises
        ------
        GGUFError, StorageError   if they cannot be read; the next pass tries again
        """
        if self._passing is not None:
            self._passing.bring(self._n_before[stop], packers)

    def set_budget(self, budget_bytes: int) -> None:
        """Keep more or fewer layers in memory; between passes.

        Raises
        ------
        UsageError                as when it was opened; then nothing changes
        GGUFError, StorageError   if layers cannot be read; then the old budget stays

        Cost    1 ms a MiB that is to stay and did not; the layers that stay now and then are left
                alone.
        """
        plan, old = self._planned(budget_bytes), self._plan
        if plan.passing != old.passing:
            more = plan.needed_bytes - old.needed_bytes
            memory.require_memory(max(more, 0), "more of the weights", "lower the weights budget")
            self._close_passing()
            self._change(plan)
        self._plan, self.budget_bytes = plan, budget_bytes
        self._let_pass()

    def close(self) -> None:
        """Stop reading; the memory goes with the last view of it. Twice is harmless."""
        self._close_passing()

    def _change(self, plan: LayerPlan) -> None:
        """Drop what stays no more, or load what is to stay; a plan asks for one or the other."""
        now, then = set(self._staying(plan)), set(self._staying())
        self._drop(then - now)
        try:
            self._load(sorted(now - then))
        except BaseException:
            self._drop(now - then)
            raise

    def _drop(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._room.drop(self._bounds[number], self._bounds[number + 1])

    def _rest_bytes(self) -> int:
        vectors = sum(vector.nbytes for vector in self.vectors.values())
        return vectors + self._bounds[-1] - self._bounds[-2]

    def _planned(self, budget_bytes: int) -> LayerPlan:
        staging = STAGED * staged_bytes([group_of(infos) for infos in self._packed[:-1]])
        sizes = [stop - start for start, stop in itertools.pairwise(self._bounds[:-1])]
        return plan_layers(sizes, self._rest_bytes(), budget_bytes, Passage(PLACES, staging))

    def _staying(self, plan: LayerPlan | None = None) -> list[int]:
        passing = (plan or self._plan).passing
        return [layer for layer, passes in enumerate(passing) if not passes]

    def _load(self, numbers: Iterable[int]) -> None:
        """Read and pack layers, or the output behind the last one, where they stay."""
        for file in self._model.files:
            file.check_unchanged()
        with ThreadPoolExecutor(self._threads) as pool:
            jobs = []
            for number in numbers:
                self._room.hold(self._bounds[number], self._bounds[number + 1])
                for info in self._packed[number]:
                    matrix = self.matrices[info.name]
                    jobs += [
                        pool.submit(_pack, self._model, info, matrix, rows)
                        for rows in row_runs(info, _CHUNK_BYTES)
                    ]
                if number < len(self.layers):
                    names = _matrix_names(number)
                    self._point(number, entries_of({name: self.matrices[name] for name in names}))
            for job in jobs:
                job.result()

    def _point(self, number: int, entries: NDArray[np.int64]) -> None:
        """Tell the kernels where a layer's matrices are."""
        # A hundred times faster than field by field, and done for every layer that passes.
        record = self.layers.view(np.int64).reshape(len(self.layers), -1)[number]
        record[FIRST_MATRIX : FIRST_MATRIX + entries.size] = entries.ravel()

    def _let_pass(self) -> None:
        """Begin to read what passes, unless that is going on."""
        passing = self._plan.passing
        if self._passing is None and any(passing):
            self._n_before = [0, *itertools.accumulate(map(int, passing))]
            layers = [
                PassingLayer(layer, self._packed[layer])
                for layer, passes in enumerate(passing)
                if passes
            ]
            self._passing = PassingLayers(
                self._model, layers, self._plan.place_bytes, self.jobs, self._point
            )

    def _close_passing(self) -> None:
        if self._passing is not None:
            self._passing.close()
            self._read_bytes += self._passing.stream.read_bytes
            self._waited_s += self._passing.stream.waited_s
            self._passing = None


def blank_jobs() -> NDArray[np.int64]:
    """Return room for the packing of one layer's matrices, int64[7, JOB_VALUES]."""
    return np.zeros((len(_MATRICES), JOB_VALUES), np.int64)


def _pack(model: ModelMap, info: TensorInfo, matrix: PackedMatrix, rows: slice) -> None:
    """Read some rows and pack them.

    Read, not mapped: of a mapped file each page would cost a fault, and count beside what is packed
    as this process's memory.
    """
    row_bytes = info.n_bytes // matrix.n_rows
    start = info.offset + rows.start * row_bytes
    raw = model.files[info.part].read(start, (rows.stop - rows.start) * row_bytes)
    matrix.pack(np.frombuffer(raw, np.uint8), rows)


def _fetch_kernels(model: ModelMap, infos: list[TensorInfo]) -> None:
    """Have the packing of each type compiled, then give back what only the compiler needed.

    Before the weights take memory: the most that a process ever holds is what a machine must have.
    """
    for info in {info.ggml_type: info for info in infos}.values():
        one = row_runs(info, 1)[0]
        group = placed([info], np.zeros(packed_bytes([info]), np.uint8))[info.name]
        _pack(model, info, group, one)
    release_compiler_pages()


def _infos(model: ModelMap, names: Iterable[str]) -> tuple[TensorInfo, ...]:
    return tuple(model.info(name) for name in names)


def _matrix_names(layer: int) -> list[str]:
    """Return a layer's matrices in the order of their use."""
    return [getattr(layer_names(layer), part) for part in _MATRICES]


def _vector_names(config: LlamaConfig) -> list[str]:
    parts = ("attention_norm", "feed_forward_norm", *(_BIASES if config.qkv_biases else ()))
    names = [getattr(layer_names(layer), part) for layer in range(config.layers) for part in parts]
    return [*names, OUTPUT_NORM]


def _whole_pages(n_bytes: int) -> int:
    """Return the bytes of whole pages: each layer is dropped apart from its neighbours."""
    return -(-n_bytes // mmap.PAGESIZE) * mmap.PAGESIZE


def padded(n_values: int) -> int:
    """Return the next multiple of 32."""
    return -(-n_values // _PAD) * _PAD


def _vector(model: ModelMap, name: str) -> NDArray[np.float32]:
    info = model.info(name)
    raw = model.files[info.part].read(info.offset, info.n_bytes)
    n_values = info.shape[0]
    room = np.zeros(padded(n_values), np.float32)
    dequantize(info.ggml_type.name, np.frombuffer(raw, np.uint8), room[:n_values])
    return room


def _layers(config: LlamaConfig, vectors: dict[str, NDArray[np.float32]]) -> np.recarray:
    """Return the layers' records without matrices."""
    layers = blank_layers(config.layers)
    for number, layer in enumerate(layers):
        names = layer_names(number)
        for part in ("attention_norm", "feed_forward_norm", *_BIASES):
            vector = vectors.get(getattr(names, part))
            layer[part] = 0 if vector is None else vector.ctypes.data
    return layers
