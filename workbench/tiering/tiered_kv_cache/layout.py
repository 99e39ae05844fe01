"""Say where each layer's keys and values lie within a block, in memory and on disk alike.

Follows: paged attention's blocks of a fixed number of tokens; layers in runs of whole pages, so
that a block can be read layer by layer straight into its slot.
Leaves out: which block is where (directory.py), codecs that change a block's size (compression).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.kv_tile import FLOAT16, FLOAT32, INT8
from workbench.errors import UsageError
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.kv_geometry import KVGeometry

BLOCK_TOKENS = 64
# int8 values share one scale a token and head, float16: 1.94 times smaller than float16 at 64.
SCALE_BYTES = 2
_TILE_DTYPES = {"float32": FLOAT32, "float16": FLOAT16, "int8": INT8}
DTYPES = tuple(_TILE_DTYPES)
# A prefix of 4,096 tokens of the 135M model is there 4 to 10 % sooner in frames of 720 KiB than of
# 480, and as int8 in frames of 372 than of 248: each frame is a request, a header and a sum. A
# block of 256 KiB has two at least: the first layers are attended while the others are read.
_FRAME_BYTES = 768 << 10
_SPLIT_BYTES = 256 << 10


class Places(NamedTuple):
    """Byte offsets of one layer's parts from a block's start; scales only where values need them.

    Attributes
    ----------
    k, v : int                 values, [block_tokens, kv_heads, head_dim]
    k_scales, v_scales : int   float16[block_tokens, kv_heads]; 0 unless the dtype is int8
    """

    k: int
    v: int
    k_scales: int
    v_scales: int


class LayerRun(NamedTuple):
    """Consecutive blocks of one layer, where they lie in one piece of memory.

    Attributes
    ----------
    memory : uint8[n_slots, row_bytes]   C-contiguous, page-aligned rows
    slots : int64[n_blocks]              the row of each block, in the sequence's order
    places : Places                      where the layer's parts lie within a row
    n_tokens : int                       tokens in these blocks; only the last may be partly filled
    dtype : int                          how values are kept there (kernels/kv_tile.py): as the
                                         layout has it, or as the cold tier's codec stores frames
    """

    memory: NDArray[np.uint8]
    slots: NDArray[np.int64]
    places: Places
    n_tokens: int
    dtype: int


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """A block's bytes: frames of ``frame_layers`` layers, each frame whole pages.

    Within a frame, layer by layer: K, V, then for int8 K's scales and V's.

    Attributes
    ----------
    geometry : KVGeometry   dtype float32, float16 or int8
    block_tokens : int      tokens a block
    frame_layers : int      layers that are read and written as one frame on the SSD tier; 0
                            becomes as many as 768 KiB hold, but half of a block of 256 KiB

    Raises
    ------
    UsageError   if the dtype is another one, or a count is out of range; names all of them
    """

    geometry: KVGeometry
    block_tokens: int = BLOCK_TOKENS
    frame_layers: int = 0

    def __post_init__(self) -> None:
        problems = []
        if self.geometry.dtype not in DTYPES:
            problems.append(
                f"block layout: dtype={self.geometry.dtype!r} cannot be cached; "
                f"use {', '.join(DTYPES)}"
            )
        if not 1 <= self.block_tokens <= 65_536:
            problems.append(f"block layout: block_tokens={self.block_tokens} must be 1 to 65,536")
        if self.frame_layers < 0:
            problems.append(f"block layout: frame_layers={self.frame_layers} must be at least 0")
        if problems:
            raise UsageError(problems)
        if not self.frame_layers:
            object.__setattr__(self, "frame_layers", self._fitting_layers())

    def _fitting_layers(self) -> int:
        """Return the layers of a frame of a good size, frames being as equal as can be."""
        layers = self.geometry.layers
        n_bytes = layers * self.layer_bytes
        n_frames = max(-(-n_bytes // _FRAME_BYTES), 1 + (n_bytes >= _SPLIT_BYTES))
        return -(-layers // min(n_frames, layers))

    @property
    def n_frames(self) -> int:
        """Return how many frames a block has; the last may hold fewer layers."""
        return -(-self.geometry.layers // self.frame_layers)

    @property
    def frame_bytes(self) -> int:
        """Return the bytes of one frame, a multiple of the page size."""
        layers = min(self.frame_layers, self.geometry.layers)
        return -(-layers * self.layer_bytes // PAGE_BYTES) * PAGE_BYTES

    @property
    def block_bytes(self) -> int:
        """Return the bytes of a block: every frame."""
        return self.n_frames * self.frame_bytes

    @property
    def layer_bytes(self) -> int:
        """Return the bytes of one layer's K, V and scales."""
        return 2 * (self._side_bytes + self._scales_bytes)

    @property
    def _side_bytes(self) -> int:
        """Return the bytes of one layer's K (or V)."""
        geometry = self.geometry
        values = self.block_tokens * geometry.kv_heads * geometry.head_dim
        return values * np.dtype(geometry.dtype).itemsize

    @property
    def _scales_bytes(self) -> int:
        """Return the bytes of one layer's K (or V) scales."""
        has_scales = self.geometry.dtype == "int8"
        return self.block_tokens * self.geometry.kv_heads * SCALE_BYTES if has_scales else 0

    @property
    def tile_dtype(self) -> int:
        """Return the dtype as the kernels number it (kernels/kv_tile.py)."""
        return _TILE_DTYPES[self.geometry.dtype]

    def places(self, layer: int) -> Places:
        """Return where one layer's parts lie within a block."""
        frame, within = divmod(layer, self.frame_layers)
        start = frame * self.frame_bytes + within * self.layer_bytes
        k_scales = start + 2 * self._side_bytes
        if self.geometry.dtype != "int8":
            return Places(start, start + self._side_bytes, 0, 0)
        return Places(start, start + self._side_bytes, k_scales, k_scales + self._scales_bytes)

    def frame_of(self, layer: int) -> int:
        """Return the number of the frame that holds a layer."""
        return layer // self.frame_layers

    def frame_slice(self, frame: int) -> slice:
        """Return the bytes of one frame within a block."""
        return slice(frame * self.frame_bytes, (frame + 1) * self.frame_bytes)
