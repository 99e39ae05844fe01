"""Compress what another codec stores once more with zstandard: combinations of codecs.

Follows: int8 and int4 numbers are not spread evenly, so an entropy coder finds something still.
Leaves out: the other codec's work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from workbench.tiering.compression.codec import KEEP_NOTHING, Bytes, Codec, CodecError, Kept
from workbench.tiering.compression.int4 import Int4Hadamard
from workbench.tiering.compression.int8 import Int8
from workbench.tiering.compression.zstd_frames import ZstdFrames, bound

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

_LENGTH_BYTES = 4


class _Packed(Codec):
    """Another codec's stored bytes, their length in front, as one zstandard frame.

    Error bound: the other codec's. Size: at most its own times 1.004, and a few bytes.
    """

    inner: ClassVar[type[Codec]]

    def __init__(self, layout: BlockLayout) -> None:
        super().__init__(layout)
        self._inner = self.inner(layout)
        self._plain = np.empty(self._inner.max_stored_bytes, np.uint8)
        self._frames = ZstdFrames(len(self._plain))
        self.max_stored_bytes = _LENGTH_BYTES + bound(len(self._plain))

    @classmethod
    def problems_with(cls, layout: BlockLayout) -> list[str]:
        """Return what the other codec cannot take about a layout."""
        return cls.inner.problems_with(layout)

    def encode(self, frame: Bytes, number: int, out: Bytes, kept: Kept = KEEP_NOTHING) -> int:
        """Encode, then compress."""
        n_plain = self._inner.encode(frame, number, self._plain, kept)
        out[:_LENGTH_BYTES].view(np.uint32)[0] = n_plain
        return _LENGTH_BYTES + self._frames.compress(self._plain[:n_plain], out[_LENGTH_BYTES:])

    def decode(self, stored: Bytes, number: int, out: Bytes) -> None:
        """Decompress, then decode; the length is bounded by the other codec's."""
        n_plain = int.from_bytes(stored[:_LENGTH_BYTES].tobytes(), "little")
        if stored.nbytes <= _LENGTH_BYTES or n_plain > len(self._plain):
            raise CodecError(f"{stored.nbytes:,} stored bytes are no frame of {self.name}")
        plain = self._plain[:n_plain]
        self._frames.decompress(stored[_LENGTH_BYTES:], plain)
        self._inner.decode(plain, number, out)


class Int8Packed(_Packed):
    """Int8 a token and head, compressed."""

    name: ClassVar[str] = "int8+zstd"
    id: ClassVar[int] = 6
    inner: ClassVar[type[Codec]] = Int8


class Int4HadamardPacked(_Packed):
    """Int4 of rotated heads, compressed."""

    name: ClassVar[str] = "int4-hadamard+zstd"
    id: ClassVar[int] = 7
    inner: ClassVar[type[Codec]] = Int4Hadamard
