"""Store some layers of a frame by one codec and some by another: a cell for every run of layers.

Follows: mixed-precision quantisation, layer by layer; a cell is what an existing codec stores for a
frame of just these layers. A table of the cells' lengths comes first, each cell on a line's grid.
Leaves out: the codecs themselves, and which layer has which (layer_map.py); keys carry that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from workbench.errors import UsageError
from workbench.tiering.compression.codec import KEEP_NOTHING, Bytes, Codec, CodecError, Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

_LENGTH_BYTES = 4
# Of cells: kernels that write past the cache want whole lines.
_GRID_BYTES = 64


class _Cell(NamedTuple):
    """A run of a frame's layers: where their values lie in it, and what codes them."""

    values: slice
    codec: Codec


class ByLayer(Codec):
    """Every layer by its own codec, bit for bit what that one would give alone.

    Error bound: each layer's codec's. Size: the sum of what the codecs store for their runs of
    layers, each rounded up to 64 bytes, and a table of four bytes a run, rounded up as well.
    """

    name: ClassVar[str] = "by-layer"
    id: ClassVar[int] = 16
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16", "int8")

    def __init__(self, layout: BlockLayout, codecs: Sequence[type[Codec]]) -> None:
        """Take scratch memory for one frame a codec.

        Parameters
        ----------
        codecs : sequence of type of Codec   one a layer

        Raises
        ------
        UsageError   if they are not one a layer, or one of them cannot take the layout
        """
        super().__init__(layout)
        layers = layout.geometry.layers
        if len(codecs) != layers:
            raise UsageError(f"{len(codecs)} codecs were given for {layers} layers; give each one")

        @cache
        def make(codec: type[Codec], n_layers: int) -> Codec:
            geometry = replace(layout.geometry, layers=n_layers)
            return codec(replace(layout, geometry=geometry, frame_layers=n_layers))

        size = layout.frame_layers
        starts = range(0, layers, size)
        self._frames = [list(_cells(layout, codecs[at : at + size], make)) for at in starts]
        self.max_stored_bytes = max(
            _table_bytes(cells) + sum(_on_grid(cell.codec.max_stored_bytes) for cell in cells)
            for cells in self._frames
        )

    def encode(self, frame: Bytes, number: int, out: Bytes, kept: Kept = KEEP_NOTHING) -> int:
        """Encode run after run of layers."""
        cells = self._frames[number]
        at = _table_bytes(cells)
        out[:at] = 0
        lengths = out[: len(cells) * _LENGTH_BYTES].view("<u4")
        for place, cell in enumerate(cells):
            end = at + cell.codec.encode(frame[cell.values], 0, out[at:], kept)
            lengths[place] = end - at
            at = _on_grid(end)
            out[end:at] = 0
        return at

    def decode(self, stored: Bytes, number: int, out: Bytes) -> None:
        """Decode run after run; each codec checks the length of its own."""
        cells = self._frames[number]
        at = _table_bytes(cells)
        if stored.nbytes < at:
            raise CodecError(f"{stored.nbytes:,} stored bytes are no frame of {self.name}")
        lengths = stored[: len(cells) * _LENGTH_BYTES].copy().view("<u4").tolist()
        self._require(stored.nbytes, at + sum(map(_on_grid, lengths)))
        for length, cell in zip(lengths, cells, strict=True):
            cell.codec.decode(stored[at : at + length], 0, out[cell.values])
            at += _on_grid(length)


def _cells(
    layout: BlockLayout,
    codecs: Sequence[type[Codec]],
    make: Callable[[type[Codec], int], Codec],
) -> Iterator[_Cell]:
    """Yield a frame's runs of layers that have one codec."""
    start = 0
    for codec, run in groupby(codecs):
        n_layers = len(list(run))
        stop = start + n_layers * layout.layer_bytes
        yield _Cell(slice(start, stop), make(codec, n_layers))
        start = stop


def _table_bytes(cells: Sequence[_Cell]) -> int:
    return _on_grid(len(cells) * _LENGTH_BYTES)


def _on_grid(n_bytes: int) -> int:
    return -(-n_bytes // _GRID_BYTES) * _GRID_BYTES
