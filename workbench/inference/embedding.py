"""Look up tokens' embeddings in the model's file, a row each.

Follows: llama.cpp's row lookup: of a table of tens of megabytes a token needs half a kilobyte.
Leaves out: the output matrix, which may be the same tensor and is packed for its products.

Rows are read, not mapped: a long text touches every page of a mapped table, and all of them count
as this process's memory (29 MiB for 2,048 random tokens of SmolLM2).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.dequantize import dequantize
from workbench.errors import UsageError
from workbench.tiering.mmap_gguf import GGUFError, ModelMap


class Embedding:
    """The table of a model's token embeddings."""

    def __init__(self, model: ModelMap, name: str) -> None:
        """Find the table; its rows are read when they are asked for."""
        info = model.info(name)
        self.width, self._n_rows = info.shape
        self._file, self._offset = model.files[info.part], info.offset
        self._row_bytes = info.n_bytes // self._n_rows
        self._kind = info.ggml_type.name

    def look_up(self, token_ids: Sequence[int], out: NDArray[np.float32]) -> None:
        """Write the tokens' embeddings.

        Parameters
        ----------
        token_ids : sequence of int
        out : float32[at least n, at least width]   the first n rows' first columns are written

        Raises
        ------
        UsageError   if an id is outside the vocabulary; names the first
        GGUFError    if the file changed since it was opened

        Cost    2 us a token.
        """
        wrong = [one for one in token_ids if not 0 <= one < self._n_rows]
        if wrong:
            raise UsageError(
                f"token id {wrong[0]} is outside the vocabulary of {self._n_rows} tokens"
            )
        self._file.check_unchanged()
        fd, start, n_bytes = self._file.fd, self._offset, self._row_bytes
        raw = b"".join([os.pread(fd, n_bytes, start + one * n_bytes) for one in token_ids])
        if len(raw) != len(token_ids) * n_bytes:
            raise GGUFError(self._file.path, start, "the file became shorter while it was read")
        values = np.empty((len(token_ids), self.width), np.float32)
        dequantize(self._kind, np.frombuffer(raw, np.uint8), values.ravel())
        out[: len(token_ids), : self.width] = values
