"""Store keys as int8 with a scale a channel, values with a scale a token and head.

Follows: KIVI: keys' large values stand in the same channels of all tokens, values' do not.
Leaves out: fewer bits (int4.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kernels import dequantize_int8, quantize, quantize_channels
from workbench.tiering.compression.codec import (
    KEEP_NOTHING,
    Bytes,
    Codec,
    Cursor,
    Halves,
    Kept,
)

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

_SCALE_BYTES = 2
_quantise_channels = quantize_channels.KERNEL.variants["njit"]
_quantise_heads = quantize.INT8.variants["njit_nontemporal"]
_restore_channels = dequantize_int8.CHANNELS.variants["njit"]
_restore_heads = dequantize_int8.GROUPS.variants["njit_nontemporal"]


class Int8Channel(Codec):
    """Whole numbers of -127 to 127: a key's channel over the block's tokens, a value's head.

    Error bound: half a scale, a 254th of the largest magnitude of the channel (keys) or the head
    (values), and float16's rounding. Size: exactly the values in bytes, and two a scale.
    """

    name: ClassVar[str] = "int8-channel"
    id: ClassVar[int] = 3

    def __init__(self, layout: BlockLayout) -> None:
        super().__init__(layout)
        self._heads = layout.geometry.kv_heads
        self.max_stored_bytes = self._stored_bytes(0)

    def _stored_bytes(self, number: int) -> int:
        values = 2 * self._tokens * self._width
        scales = self._width + self._tokens * self._heads
        return self._layers(number) * (values + _SCALE_BYTES * scales)

    def _parts(self, memory: Bytes, layers: int) -> tuple[Halves, Halves, Bytes]:
        """Return keys' scales, values' scales, and the numbers of both, a layer a row."""
        cursor = Cursor(memory)
        return (
            cursor.halves(layers, self._width),
            cursor.halves(layers, self._tokens * self._heads),
            cursor.octets(layers, 2, self._tokens, self._width),
        )

    def encode(self, frame: Bytes, number: int, out: Bytes, kept: Kept = KEEP_NOTHING) -> int:
        """Quantise keys by channel and values by head."""
        planes = self._planes(frame, number)
        k_scales, v_scales, numbers = self._parts(out, len(planes))
        signed = numbers.view(np.int8)
        for layer, (k, v) in enumerate(planes):
            _quantise_channels(signed[layer, 0], k_scales[layer], k)
            heads = (-1, self._head_dim)
            _quantise_heads(signed[layer, 1].reshape(heads), v_scales[layer], v.reshape(heads))
        return self._stored_bytes(number)

    def decode(self, stored: Bytes, number: int, out: Bytes) -> None:
        """Multiply numbers with their scales."""
        self._require(stored.nbytes, self._stored_bytes(number))
        planes = self._planes(out, number)
        k_scales, v_scales, numbers = self._parts(stored, len(planes))
        signed = numbers.view(np.int8)
        for layer, (k, v) in enumerate(planes):
            _restore_channels(k, signed[layer, 0], k_scales[layer])
            heads = (-1, self._head_dim)
            _restore_heads(v.reshape(heads), signed[layer, 1].reshape(heads), v_scales[layer])
