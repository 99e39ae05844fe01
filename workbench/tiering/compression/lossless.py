"""Store float16 bit for bit: upper and lower bytes apart, the upper ones compressed.

Follows: zkv's byte planes and zstandard. Keys' upper bytes and values' are frames of their own,
because their exponents are distributed differently: 1.165 times smaller on real KV, 1.153 as one.
Lower bytes are noise and stay as they are.
Leaves out: taking upper bytes from those of the token before, or channel by channel: both were
tried and lose (1.133 and 1.162).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kernels import byteplane
from workbench.tiering.compression.codec import (
    KEEP_NOTHING,
    Bytes,
    Codec,
    CodecError,
    Cursor,
    Kept,
)
from workbench.tiering.compression.zstd_frames import ZstdFrames, bound

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

_HEADER_BYTES = 8
_split = byteplane.SPLIT.variants["njit"]
_join = byteplane.JOIN.variants["njit"]


class Lossless(Codec):
    """Two byte planes, the upper one packed. Bit for bit, NaNs and all.

    Size: at most the frame's, half of it times 1.004 instead of 1, and a header.
    """

    name: ClassVar[str] = "lossless"
    id: ClassVar[int] = 1
    is_exact: ClassVar[bool] = True

    def __init__(self, layout: BlockLayout) -> None:
        super().__init__(layout)
        side = self._side_bytes(0)
        self._upper = np.empty((2, side), np.uint8)
        self._frames = ZstdFrames(side)
        self.max_stored_bytes = _HEADER_BYTES + 2 * side + 2 * bound(side)

    def _side_bytes(self, number: int) -> int:
        """Return the upper bytes of a frame's keys, and of its values."""
        return self._layers(number) * self._tokens * self._width

    def encode(self, frame: Bytes, number: int, out: Bytes, kept: Kept = KEEP_NOTHING) -> int:
        """Split, and compress keys' and values' upper bytes."""
        planes, cursor = self._planes(frame, number), Cursor(out)
        lengths = cursor.octets(_HEADER_BYTES).view(np.uint32)
        lower = cursor.octets(*planes.shape)
        side = self._side_bytes(number)
        uppers = [upper[:side].reshape(-1, *planes.shape[2:]) for upper in self._upper]
        for layer in range(len(planes)):
            for part, upper in enumerate(uppers):
                _split(upper[layer], lower[layer, part], planes[layer, part])
        at = cursor.at
        for part, upper in enumerate(uppers):
            lengths[part] = self._frames.compress(upper.reshape(-1), out[at:])
            at += int(lengths[part])
        return at

    def decode(self, stored: Bytes, number: int, out: Bytes) -> None:
        """Decompress the upper bytes and join them with the lower ones."""
        planes, side = self._planes(out, number), self._side_bytes(number)
        start = _HEADER_BYTES + 2 * side
        if stored.nbytes < start:
            raise CodecError(f"{stored.nbytes:,} stored bytes are no frame of {self.name}")
        k_bytes, v_bytes = stored[:_HEADER_BYTES].copy().view(np.uint32).tolist()
        self._require(stored.nbytes, start + k_bytes + v_bytes)
        self._frames.decompress(stored[start : start + k_bytes], self._upper[0, :side])
        self._frames.decompress(stored[start + k_bytes :], self._upper[1, :side])
        lower = stored[_HEADER_BYTES:start].reshape(planes.shape)
        uppers = [upper[:side].reshape(-1, *planes.shape[2:]) for upper in self._upper]
        for layer in range(len(planes)):
            for part, upper in enumerate(uppers):
                _join(planes[layer, part], upper[layer], lower[layer, part])
