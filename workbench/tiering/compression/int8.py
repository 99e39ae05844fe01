"""Store keys and values as int8 with one float16 scale a token and head.

Follows: llama.cpp's q8_0, with a group as large as a head: 1.94 times smaller than float16 at heads
of 64. Scales come first, then values, in the frame's own order.
Leaves out: scales a channel (int8_channel.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from kernels import dequantize_int8, quantize
from kernels.kv_tile import STORED_INT8
from kernels.vectors import LANES
from workbench.tiering.compression.codec import (
    KEEP_NOTHING,
    Bytes,
    Codec,
    Halves,
    Kept,
    StoredForm,
)

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

Signed = NDArray[np.int8]

_SCALE_BYTES = 2
_quantise = quantize.INT8.variants["njit_nontemporal"]
_restore = dequantize_int8.GROUPS.variants["njit_nontemporal"]


class Int8(Codec):
    """Whole numbers of -127 to 127 a head.

    Error bound: half a scale, which is a 254th of the head's largest magnitude, and float16's
    rounding. Size: exactly ``layers * 2 * tokens * heads * (head_dim + 2)``.
    """

    name: ClassVar[str] = "int8"
    id: ClassVar[int] = 2

    def __init__(self, layout: BlockLayout) -> None:
        super().__init__(layout)
        self.max_stored_bytes = self._stored_bytes(0)

    def _groups(self, number: int) -> int:
        return self._layers(number) * 2 * self._tokens * self.layout.geometry.kv_heads

    def _stored_bytes(self, number: int) -> int:
        return self._groups(number) * (self._head_dim + _SCALE_BYTES)

    def encode(self, frame: Bytes, number: int, out: Bytes, kept: Kept = KEEP_NOTHING) -> int:
        """Quantise every head of every token."""
        scales, numbers, values = self._parts(out, frame, self._groups(number))
        _quantise(numbers, scales, values)
        return self._stored_bytes(number)

    def decode(self, stored: Bytes, number: int, out: Bytes) -> None:
        """Multiply every head's numbers with its scale."""
        self._require(stored.nbytes, self._stored_bytes(number))
        scales, numbers, values = self._parts(stored, out, self._groups(number))
        _restore(values, numbers, scales)

    def stored_form(self) -> StoredForm | None:
        """Return where each layer's numbers and scales lie."""
        if self._head_dim % LANES:
            return None
        layout, side_groups = self.layout, self._tokens * self.layout.geometry.kv_heads
        places = []
        for layer in range(layout.geometry.layers):
            numbers = self._groups(layout.frame_of(layer)) * _SCALE_BYTES
            k, v = (2 * (layer % layout.frame_layers) * side_groups + n for n in (0, side_groups))
            sides = k * self._head_dim + numbers, v * self._head_dim + numbers
            places.append((*sides, k * _SCALE_BYTES, v * _SCALE_BYTES))
        return StoredForm(STORED_INT8, self.max_stored_bytes, tuple(places))

    def require_stored(self, stored: Bytes, number: int) -> None:
        """Refuse another length."""
        self._require(stored.nbytes, self._stored_bytes(number))

    def _parts(self, stored: Bytes, frame: Bytes, n: int) -> tuple[Halves, Signed, Halves]:
        """Return scales [n], numbers and values [n, head_dim]; frames are rows of heads as a whole.

        Cut by hand: a frame of 288 KiB takes 20 us of arithmetic.
        """
        size, start = self._head_dim, n * _SCALE_BYTES
        numbers = stored[start : start + n * size].view(np.int8).reshape(n, size)
        values = frame[: n * size * 2].view(np.uint16).reshape(n, size)
        return stored[:start].view(np.uint16), numbers, values
