"""Say what gives a model's layers to a forward pass, wherever their bytes come from.

Leaves out: the two ways, by mapped pages (mapped_layers.py) and past the page cache
(direct_layers.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from workbench.tiering.mmap_gguf.layer_plan import LayerPlan
from workbench.tiering.mmap_gguf.tensors import Tensor


class LayerSource(Protocol):
    """Gives layers in the order of their use, within a budget of bytes; one caller at a time."""

    @property
    def plan(self) -> LayerPlan:
        """Return which layers stay in memory."""

    @property
    def rest(self) -> Mapping[str, Tensor]:
        """Return the tensors that belong to no layer, by name; they stay valid."""

    def layer(self, index: int) -> Mapping[str, Tensor]:
        """Return a layer's tensors by name, and begin to read the next one that is not here.

        They are valid until another layer is asked for: the place of one that passes is used again.

        Raises
        ------
        IndexError     if there is no such layer
        GGUFError      if a file changed since it was opened
        StorageError   if the bytes cannot be read
        """

    def close(self) -> None:
        """Give everything back; closing twice is harmless. The model stays open."""
