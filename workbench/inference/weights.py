"""Hold a model's weights in memory as the kernels want them: packed in the order of their use.

Follows: rows interleaved once at loading; one piece of memory, so that what is asked for ahead of
its use at a matrix's end is the next matrix.
Leaves out: the embedding, whose rows are read from the file one by one, and weights that are larger
than memory (workbench/tiering/mmap_gguf reads those layer by layer).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dequantize import dequantize
from kernels.interleave import interleave
from kernels.llama_plan import blank_layers
from workbench.inference.compiler_pages import release_compiler_pages
from workbench.inference.llama_config import LlamaConfig
from workbench.inference.tensor_names import OUTPUT_NORM, layer_names, output_name
from workbench.inference.weight_layouts import LAYOUTS, WeightLayout
from workbench.tiering import memory
from workbench.tiering.mmap_gguf import ModelMap, Tensor
from workbench.tiering.mmap_gguf.open_file import OpenFile

_ROWS = 8
_PAD = 32  # rows of activations are padded to a multiple of it
# Read beyond the last matrix's end by what is asked for ahead; also aligns each matrix.
_ALIGN_BYTES = 64
# Read and packed at once by one thread; 64 KiB takes twice the time, 4 MiB no less.
_CHUNK_BYTES = 1 << 20
_MATRICES = ("query", "key", "value", "attention_output", "gate", "up", "down")
_BIASES = ("query_bias", "key_bias", "value_bias")


@dataclass(frozen=True, slots=True, eq=False)
class PackedMatrix:
    """A matrix in its layout.

    Attributes
    ----------
    layout : WeightLayout
    memory : uint8[n_groups, group_bytes]   eight rows a group, the last padded with zeros
    row_values : int                        columns
    """

    layout: WeightLayout
    memory: NDArray[np.uint8]
    row_values: int

    @property
    def entry(self) -> tuple[int, int, int, int]:
        """Return what `llama_plan` keeps: layout, address, groups, values a row."""
        address = int(self.memory.ctypes.data)
        return self.layout.number, address, len(self.memory), self.row_values


@dataclass(frozen=True, slots=True, eq=False)
class LlamaWeights:
    """All weights that a forward pass multiplies with.

    Attributes
    ----------
    matrices : dict            tensor name -> PackedMatrix
    vectors : dict             tensor name -> float32, padded with zeros to a multiple of 32
    layers : record[n_layers]  `llama_plan.LAYER`: addresses of the above
    memory : uint8             what the matrices lie in
    """

    matrices: dict[str, PackedMatrix]
    vectors: dict[str, NDArray[np.float32]]
    layers: np.recarray
    memory: NDArray[np.uint8]

    def vector_address(self, name: str) -> int:
        """Return where a vector lies."""
        return int(self.vectors[name].ctypes.data)


def load_weights(model: ModelMap, config: LlamaConfig, threads: int = 1) -> LlamaWeights:
    """Read and pack a model's weights.

    Parameters
    ----------
    model : ModelMap
    config : LlamaConfig   of that model
    threads : int          that pack side by side

    Raises
    ------
    UsageError   if they would not fit into memory
    GGUFError    if the file changed since it was opened

    Cost    about 1.1 GB/s of the file a thread; memory as the file's, more only for Q5 types, Q4_K
            and bfloat16.
    """
    vectors = {name: _vector(model, name) for name in _vector_names(config)}
    tensors = [model.tensor(name) for name in _matrix_names(config)]
    total = sum(map(_packed_bytes, tensors)) + _ALIGN_BYTES
    memory.require_memory(total, f"the weights of {model.header.path.name}", "use a smaller model")
    _fetch_kernels(model, tensors)
    whole = memory.allocate(total)
    matrices = _placed(tensors, whole)
    with ThreadPoolExecutor(threads) as pool:
        jobs = [
            pool.submit(_pack, model.files[tensor.info.part], tensor, matrix, rows)
            for tensor, matrix in zip(tensors, matrices.values(), strict=True)
            for rows in _chunks(tensor)
        ]
        for job in jobs:
            job.result()
    return LlamaWeights(matrices, vectors, _layers(config, matrices, vectors), whole)


def _fetch_kernels(model: ModelMap, tensors: list[Tensor]) -> None:
    """Have the packing of each type compiled, then give back what only the compiler needed.

    Before the weights take memory: the most that a process ever holds is what a machine must have.
    """
    for tensor in {tensor.info.ggml_type: tensor for tensor in tensors}.values():
        rows = slice(0, min(_ROWS, tensor.n_rows))
        room = np.zeros((1, _group_bytes(tensor)), np.uint8)
        matrix = PackedMatrix(LAYOUTS[tensor.info.ggml_type.name], room, tensor.row_values)
        _pack(model.files[tensor.info.part], tensor, matrix, rows)
    release_compiler_pages()


def _matrix_names(config: LlamaConfig) -> list[str]:
    """Return the matrices in the order of their use."""
    names = [
        getattr(layer_names(layer), part) for layer in range(config.layers) for part in _MATRICES
    ]
    return [*names, output_name(config)]


def _vector_names(config: LlamaConfig) -> list[str]:
    parts = ("attention_norm", "feed_forward_norm", *(_BIASES if config.qkv_biases else ()))
    names = [getattr(layer_names(layer), part) for layer in range(config.layers) for part in parts]
    return [*names, OUTPUT_NORM]


def _group_bytes(tensor: Tensor) -> int:
    layout = LAYOUTS[tensor.info.ggml_type.name]
    return tensor.row_values // layout.block_values * layout.block_bytes


def _packed_bytes(tensor: Tensor) -> int:
    n_bytes = -(-tensor.n_rows // _ROWS) * _group_bytes(tensor)
    return -(-n_bytes // _ALIGN_BYTES) * _ALIGN_BYTES


def _placed(tensors: list[Tensor], whole: NDArray[np.uint8]) -> dict[str, PackedMatrix]:
    """Return a room for each tensor, one after the other."""
    matrices = {}
    start = 0
    for tensor in tensors:
        groups, group_bytes = -(-tensor.n_rows // _ROWS), _group_bytes(tensor)
        room = whole[start : start + groups * group_bytes].reshape(groups, group_bytes)
        layout = LAYOUTS[tensor.info.ggml_type.name]
        matrices[tensor.info.name] = PackedMatrix(layout, room, tensor.row_values)
        start += _packed_bytes(tensor)
    return matrices


def _chunks(tensor: Tensor) -> list[slice]:
    """Return runs of rows, whole groups each, to be packed one by one."""
    row_bytes = tensor.info.n_bytes // tensor.n_rows
    step = max(_CHUNK_BYTES // row_bytes // _ROWS, 1) * _ROWS
    return [slice(row, min(row + step, tensor.n_rows)) for row in range(0, tensor.n_rows, step)]


def _pack(file: OpenFile, tensor: Tensor, matrix: PackedMatrix, rows: slice) -> None:
    """Read some rows and pack them.

    Read, not mapped: of a mapped file each page would cost a fault, and count beside what is packed
    as this process's memory.
    """
    row_bytes = tensor.info.n_bytes // tensor.n_rows
    raw = file.read(
        tensor.info.offset + rows.start * row_bytes, (rows.stop - rows.start) * row_bytes
    )
    layout = matrix.layout
    expanded = layout.expand(np.frombuffer(raw, np.uint8).reshape(-1, row_bytes))
    words = np.ascontiguousarray(expanded)
    groups = matrix.memory[rows.start // _ROWS : -(-rows.stop // _ROWS)]
    packed = groups.view(np.uint16).reshape(len(groups), words.shape[1], -1)
    interleave(words, layout.bases, layout.steps, packed)


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


def _layers(
    config: LlamaConfig,
    matrices: dict[str, PackedMatrix],
    vectors: dict[str, NDArray[np.float32]],
) -> np.recarray:
    layers = blank_layers(config.layers)
    for number, layer in enumerate(layers):
        names = layer_names(number)
        for part in _MATRICES:
            layer[part] = matrices[getattr(names, part)].entry
        for part in ("attention_norm", "feed_forward_norm", *_BIASES):
            vector = vectors.get(getattr(names, part))
            layer[part] = 0 if vector is None else vector.ctypes.data
    return layers
