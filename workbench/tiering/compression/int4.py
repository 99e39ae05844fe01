"""Store keys as int4 a channel and values as int4 a token and head, some tokens as they are.

Follows: KIVI's groups (offset and step a channel for keys, a token for values); QuaRot's rotation,
which spreads a head's few large values; StreamingLLM's attention sinks and KIVI's newest tokens,
kept in float16. 3.55 times smaller than float16 at heads of 64 and blocks of 64.
Leaves out: fewer bits, and groups smaller than a block or a head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from kernels import hadamard, int4_channels, int4_frame, int4_rows
from kernels.kv_tile import STORED_INT4, STORED_ROTATED
from kernels.vectors import LANES
from workbench.tiering.compression.codec import (
    KEEP_NOTHING,
    Bytes,
    Codec,
    CodecError,
    Cursor,
    Halves,
    Kept,
    StoredForm,
)

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

SINK_TOKENS, RECENT_TOKENS = 4, 32
_HEADER_WORDS = 4
_HALF_BYTES = 2
_widen = hadamard.FORTH.variants["njit"]
_narrow = hadamard.BACK.variants["njit"]
_quantise_channels = int4_channels.QUANTIZE.variants["njit"]
_restore_channels = int4_channels.RESTORE.variants["njit"]
_quantise_heads = int4_rows.QUANTIZE.variants["njit"]
_restore_heads = int4_rows.RESTORE.variants["njit_vector"]
_restore_frame = int4_frame.KERNEL.variants["njit"]
# Of a layer's places, those of numbers.
_NUMBERS = np.array([1, 1, 0, 0], np.int64)


class _Parts:
    """Views of one stored frame: which rows are kept, offsets and steps, kept rows, numbers."""

    def __init__(self, memory: Bytes, codec: Int4, layers: int, n_kept: int) -> None:
        cursor = Cursor(memory)
        tokens, width, heads = codec.layout.block_tokens, codec.width, codec.heads
        self.header = cursor.halves(_HEADER_WORDS)
        self.k_scales = cursor.halves(layers, 2, width)
        self.v_scales = cursor.halves(layers, 2, tokens * heads)
        self.kept = cursor.halves(layers, 2, n_kept, width)
        self.k_numbers = cursor.octets(layers, tokens // 2, width)
        self.v_numbers = cursor.octets(layers, tokens * heads, width // heads // 2)
        self.n_bytes = cursor.at


class Int4(Codec):
    """Whole numbers of 0 to 15 between the smallest and the largest value of a group.

    Error bound without rotation: half a step, a 30th of the group's range, and float16's rounding
    of offset and result; kept rows bit for bit. Size: exactly the numbers, four bytes a group, two
    a kept value and a header of eight.
    """

    name: ClassVar[str] = "int4"
    id: ClassVar[int] = 4
    is_rotated: ClassVar[bool] = False
    stored_dtype: ClassVar[int] = STORED_INT4

    def __init__(self, layout: BlockLayout) -> None:
        super().__init__(layout)
        self.width, self.heads = self._width, layout.geometry.kv_heads
        self._rotated = np.empty((self._tokens, self._width), np.float32)
        self.max_stored_bytes = self._stored_bytes(self._layers(0), SINK_TOKENS + RECENT_TOKENS)
        self._form = self.stored_form()
        self._places = np.array(self._form.places if self._form else (), np.int64)

    @classmethod
    def problems_with(cls, layout: BlockLayout) -> list[str]:
        """Return what the codec cannot take about a layout."""
        problems = super().problems_with(layout)
        head_dim = layout.geometry.head_dim
        if layout.block_tokens % 2 or head_dim % 2:
            problems.append(
                f"codec {cls.name!r} packs two tokens and two values into a byte: block_tokens="
                f"{layout.block_tokens} and head_dim={head_dim} must be even"
            )
        if cls.is_rotated and head_dim & (head_dim - 1):
            problems.append(
                f"codec {cls.name!r} rotates heads of a power of two, not of {head_dim}; use int4"
            )
        return problems

    def _stored_bytes(self, layers: int, n_kept: int) -> int:
        groups = self._width + self._tokens * self.heads
        scales, numbers = 2 * groups * _HALF_BYTES, self._tokens * self._width
        kept = 2 * n_kept * self._width * _HALF_BYTES
        return _HEADER_WORDS * _HALF_BYTES + layers * (scales + numbers + kept)

    def encode(self, frame: Bytes, number: int, out: Bytes, kept: Kept = KEEP_NOTHING) -> int:
        """Quantise every group; kept rows do not count for its range."""
        planes = self._planes(frame, number)
        kept = _within(kept, self._tokens)
        rows = kept.rows(self._tokens)
        parts = _Parts(out, self, len(planes), int(rows.sum()))
        parts.header[:] = (*kept, 0)
        stand_in = None if not rows.any() else _first_other(rows)
        for layer, (k, v) in enumerate(planes):
            self._widened(k, rows, stand_in)
            offsets, steps = parts.k_scales[layer]
            _quantise_channels(parts.k_numbers[layer], offsets, steps, self._rotated)
            self._widened(v, rows, stand_in)
            offsets, steps = parts.v_scales[layer]
            heads = self._rotated.reshape(-1, self._head_dim)
            _quantise_heads(parts.v_numbers[layer], offsets, steps, heads)
        parts.kept[:] = planes[:, :, rows]
        return parts.n_bytes

    def _widened(self, plane: Halves, rows: NDArray[np.bool_], stand_in: int | None) -> None:
        """Fill the scratch with a plane's values, rotated or not; kept rows with another's."""
        heads = (-1, self._head_dim)
        _widen(self._rotated.reshape(heads), plane.reshape(heads), self.is_rotated)
        if stand_in is not None:
            self._rotated[rows] = self._rotated[stand_in] if stand_in >= 0 else 0

    def decode(self, stored: Bytes, number: int, out: Bytes) -> None:
        """Restore every group, then the rows that were kept."""
        layers = self._layers(number)
        rows = self._kept_rows(stored)
        n_kept = int(rows.sum())
        self._require(stored.nbytes, self._stored_bytes(layers, n_kept))
        parts = _Parts(stored, self, layers, n_kept)
        planes = self._planes(out, number)
        if self._form is None:
            self._restore_apart(parts, planes)
        else:
            first = number * self.layout.frame_layers
            # Kept rows lie before the numbers.
            places = self._places[first : first + layers] + parts.kept.nbytes * _NUMBERS
            by_head = planes.reshape(*planes.shape[:3], self.heads, self._head_dim)
            _restore_frame(by_head, stored, places, self._form.dtype)
        if n_kept:
            planes[:, :, rows] = parts.kept

    def _restore_apart(self, parts: _Parts, planes: Halves) -> None:
        """Restore heads that are no whole vectors, layer by layer."""
        heads = (-1, self._head_dim)
        for layer, (k, v) in enumerate(planes):
            offsets, steps = parts.k_scales[layer]
            _restore_channels(self._rotated, parts.k_numbers[layer], offsets, steps)
            _narrow(k.reshape(heads), self._rotated.reshape(heads), self.is_rotated)
            offsets, steps = parts.v_scales[layer]
            scratch = self._rotated.reshape(heads)
            _restore_heads(scratch, parts.v_numbers[layer], offsets, steps)
            _narrow(v.reshape(heads), scratch, self.is_rotated)

    def stored_form(self) -> StoredForm | None:
        """Return where each layer's numbers, and its offsets before its steps, lie."""
        if self._head_dim % (2 * LANES):
            return None
        layout, places = self.layout, []
        side = self._tokens * self._width // 2
        k_scales, v_scales = (4 * n for n in (self._width, self._tokens * self.heads))
        for layer in range(layout.geometry.layers):
            at, n_layers = layer % layout.frame_layers, self._layers(layout.frame_of(layer))
            k_start = _HEADER_WORDS * _HALF_BYTES
            v_start = k_start + n_layers * k_scales
            k = v_start + n_layers * v_scales
            v = k + n_layers * side
            scales = k_start + at * k_scales, v_start + at * v_scales
            places.append((k + at * side, v + at * side, *scales))
        return StoredForm(self.stored_dtype, self._stored_bytes(self._layers(0), 0), tuple(places))

    def require_stored(self, stored: Bytes, number: int) -> None:
        """Refuse another length, and a header that tells of kept rows."""
        self._require(stored.nbytes, self._stored_bytes(self._layers(number), 0))
        if self._kept_rows(stored).any():
            raise CodecError(f"a frame of {self.name} that keeps rows must be decoded")

    def _kept_rows(self, stored: Bytes) -> NDArray[np.bool_]:
        n_bytes = _HEADER_WORDS * _HALF_BYTES
        if stored.nbytes < n_bytes:
            raise CodecError(f"{stored.nbytes} stored bytes are no frame of {self.name}")
        header = stored[:n_bytes].copy().view(np.uint16)
        first, start, stop, zero = header.tolist()
        kept = Kept(first, start, stop)
        if zero or kept != _within(kept, self._tokens):
            raise CodecError(f"rows {tuple(kept)} cannot have been kept by {self.name}")
        return kept.rows(self._tokens)


class Int4Hadamard(Int4):
    """Int4 of heads that are rotated before, and back after.

    Error bound: the root mean square of a head's errors is at most half its largest step.
    """

    name: ClassVar[str] = "int4-hadamard"
    id: ClassVar[int] = 5
    is_rotated: ClassVar[bool] = True
    stored_dtype: ClassVar[int] = STORED_ROTATED


def _within(kept: Kept, n_tokens: int) -> Kept:
    """Return what can be kept: sinks and newest tokens that do not overlap, not too many."""
    first = min(kept.first, SINK_TOKENS, n_tokens)
    stop = min(kept.stop, n_tokens)
    start = max(first, kept.start, stop - RECENT_TOKENS)
    return Kept(first, start, stop) if start < stop else Kept(first)


def _first_other(rows: NDArray[np.bool_]) -> int:
    """Return the first row that is not kept, -1 if all are."""
    return -1 if rows.all() else int(np.argmin(rows))
