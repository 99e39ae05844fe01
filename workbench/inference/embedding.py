"""Look up tokens' embeddings in the model's file, a row each.

Follows: llama.cpp's row lookup: of a table of tens of megabytes a token needs half a kilobyte.
Leaves out: the output matrix, which may be the same tensor and is packed for its products.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.dequantize import dequantize
from workbench.errors import UsageError
from workbench.tiering.mmap_gguf import Tensor


class Embedding:
    """The table of a model's token embeddings."""

    def __init__(self, tensor: Tensor) -> None:
        """Take the table; its rows are read when they are asked for."""
        self._rows = tensor.rows
        self._kind = tensor.info.ggml_type.name
        self.width = tensor.row_values

    def look_up(self, token_ids: Sequence[int], out: NDArray[np.float32]) -> None:
        """Write the tokens' embeddings.

        Parameters
        ----------
        token_ids : sequence of int
        out : float32[at least n, at least width]   the first n rows' first columns are written

        Raises
        ------
        UsageError   if an id is outside the vocabulary; names the first

        Cost    2 us a token.
        """
        ids = np.asarray(token_ids, np.int64)
        wrong = ids[(ids < 0) | (ids >= len(self._rows))]
        if wrong.size:
            raise UsageError(
                f"token id {wrong[0]} is outside the vocabulary of {len(self._rows)} tokens"
            )
        values = np.empty((len(ids), self.width), np.float32)
        dequantize(self._kind, self._rows[ids].ravel(), values.ravel())
        out[: len(ids), : self.width] = values
