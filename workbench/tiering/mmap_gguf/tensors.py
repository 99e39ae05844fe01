"""Give a tensor's packed bytes with its shape, and restore its values.

Follows: GGUF's order: the first extent is the contiguous row; NumPy's shape is the reverse.
Leaves out: where the bytes come from (model_map.py, direct_layers.py) and how a type is unpacked
(kernels/dequantize.py).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.tiering.memory import require_memory
from workbench.tiering.mmap_gguf.header import TensorInfo


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor's place and its bytes as they stand in the file.

    Attributes
    ----------
    info : TensorInfo
    packed : uint8[n_bytes]   read-only where it is a view of the file
    """

    info: TensorInfo
    packed: NDArray[np.uint8]

    @property
    def row_values(self) -> int:
        """Return the values of one row."""
        return self.info.shape[0]

    @property
    def n_rows(self) -> int:
        """Return the number of rows over all other dimensions."""
        return math.prod(self.info.shape[1:])

    @property
    def shape(self) -> tuple[int, ...]:
        """Return NumPy's shape of the values: rows last."""
        return self.info.shape[::-1]

    @property
    def rows(self) -> NDArray[np.uint8]:
        """Return the packed rows, uint8[n_rows, row_bytes], without copying."""
        return self.packed.reshape(self.n_rows, -1)


def dequantized(tensor: Tensor, threads: int = 1) -> NDArray[np.float32]:
    """Return a tensor's values, float32[*tensor.shape], in memory of its own.

    Parameters
    ----------
    tensor : Tensor
    threads : int     at least 1; each restores a share of the rows

    Raises
    ------
    UsageError   if the type is not restored here, or the values would not fit into memory

    Cost    1 to 4 GB/s of packed weights a thread, limited by writing the result.
    """
    # Numba takes a second to import, and those who only read headers need none of it.
    from kernels.dequantize import DEQUANTIZERS, dequantize

    kind = tensor.info.ggml_type.name
    if kind not in DEQUANTIZERS:
        raise UsageError(
            f"tensor {tensor.info.name} is {kind}, which is not computed with; "
            f"there is {', '.join(DEQUANTIZERS)}"
        )
    if threads < 1:
        raise UsageError(f"threads={threads} must be at least 1")
    n_values = tensor.n_rows * tensor.row_values
    require_memory(4 * n_values, f"the float32 values of {tensor.info.name}", "use a smaller model")
    values = np.empty((tensor.n_rows, tensor.row_values), np.float32)
    bounds = [tensor.n_rows * share // threads for share in range(threads + 1)]

    def restore(share: int) -> None:
        rows = slice(bounds[share], bounds[share + 1])
        dequantize(kind, tensor.rows[rows].ravel(), values[rows].ravel())

    if threads == 1:
        restore(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(restore, range(threads)))
    return values.reshape(tensor.shape)
