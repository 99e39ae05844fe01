"""A model whose weights may be larger than their budget: layers that pass are read for each pass.

The computing is the real model's; before each pass all layers are brought into memory by the very
sources that a model larger than memory is read through, and what that takes is waited for.
"""

from __future__ import annotations

import time
from pathlib import Path

from workbench.inference.llama import LlamaModel
from workbench.tiering.closing import Closing
from workbench.tiering.mmap_gguf import open_model
from workbench.tiering.mmap_gguf.direct_layers import DirectLayers
from workbench.tiering.mmap_gguf.layer_plan import plan_layers
from workbench.tiering.mmap_gguf.layers import group_tensors


class LayeredModel(Closing):
    """Answers `ServedModel` and `AdjustableWeights`."""

    def __init__(self, path: Path, budget_bytes: int | None = None) -> None:
        self._model = LlamaModel.open(path, threads=1)
        self._map = open_model(path)
        groups = group_tensors(self._map.header)
        self.sizes = [group.page_bytes for group in groups.layers]
        self.rest_bytes = groups.rest.page_bytes
        self.weights_bytes = sum(self.sizes) + self.rest_bytes
        self.weights_wait_s = 0.0
        self.weights_budget_bytes = budget_bytes or self.weights_bytes
        self._layers = self._open(self.weights_budget_bytes)
        self.fingerprint = self._model.fingerprint
        self.kv_geometry, self.use_cache = self._model.kv_geometry, self._model.use_cache

    @property
    def least_bytes(self) -> int:
        """Return the least budget."""
        return plan_layers([max(self.sizes)] * 3, self.rest_bytes, 1 << 60).needed_bytes

    @property
    def needed_bytes(self) -> int:
        """Return the memory that weights take now."""
        return self._layers.plan.needed_bytes

    def set_weights_budget(self, n_bytes: int) -> None:
        plan_layers(self.sizes, self.rest_bytes, n_bytes)  # refuses before anything has changed
        self._layers.close()
        self._layers = self._open(n_bytes)
        self.weights_budget_bytes = n_bytes

    def _open(self, n_bytes: int) -> DirectLayers:
        return DirectLayers(self._map, n_bytes, kind="threads")

    def _bring(self) -> None:
        start = time.perf_counter()
        for layer in range(len(self.sizes)):
            self._layers.layer(layer)
        self.weights_wait_s += time.perf_counter() - start

    def forward(self, token_ids, sequence):
        self._bring()
        return self._model.forward(token_ids, sequence)

    def prefill(self, token_ids, sequence):
        self._bring()
        self._model.prefill(token_ids, sequence)

    def close(self) -> None:
        self._layers.close()
        self._map.close()
        self._model.close()
