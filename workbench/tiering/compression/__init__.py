"""Make a block's frames smaller for the SSD, and whole again: one codec a file, one interface.

A codec is asked for by name; its number travels in frames and keys, so that what one codec wrote is
never read by another.

    codec = compression.create("int8", layout)             # for one thread
    out = np.empty(codec.max_stored_bytes, np.uint8)
    n = codec.encode(frame, number, out)                   # frame: uint8[layout.frame_bytes]
    codec.decode(out[:n], number, restored)                # CodecError if the bytes are not its own

Where some layers need less than others, a text says which codec they have (layer_map.py); it can
stand wherever a name can: "int8,int4:12-20,int4:29".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import UsageError
from workbench.tiering.compression.by_layer import ByLayer
from workbench.tiering.compression.codec import KEEP_NOTHING, Bytes, Codec, CodecError, Kept
from workbench.tiering.compression.int4 import Int4, Int4Hadamard
from workbench.tiering.compression.int8 import Int8
from workbench.tiering.compression.int8_channel import Int8Channel
from workbench.tiering.compression.layer_map import LayerMap, spell
from workbench.tiering.compression.lossless import Lossless
from workbench.tiering.compression.none import NoCodec
from workbench.tiering.compression.packed import Int4HadamardPacked, Int8Packed

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

__all__ = [
    "CODECS",
    "KEEP_NOTHING",
    "Bytes",
    "Codec",
    "CodecError",
    "Identity",
    "Kept",
    "codec_class",
    "create",
    "identity",
    "parse",
    "problems_with",
    "spell",
]

_ALL: tuple[type[Codec], ...] = (
    NoCodec,
    Lossless,
    Int8,
    Int8Channel,
    Int4,
    Int4Hadamard,
    Int8Packed,
    Int4HadamardPacked,
)
CODECS: dict[str, type[Codec]] = {codec.name: codec for codec in _ALL}
_NUMBERED: tuple[type[Codec], ...] = (*_ALL, ByLayer)
_BY_ID = {codec.id: codec for codec in _NUMBERED}
assert len(_BY_ID) == len(_NUMBERED) == len(CODECS) + 1


class Identity(NamedTuple):
    """What keys say about how stored bytes are made.

    Attributes
    ----------
    number : int     of the codec
    layers : bytes   each layer's, uint16 little-endian; empty where all have one
    """

    number: int
    layers: bytes


def parse(name: str) -> LayerMap:
    """Return which codec each layer has; a name alone is of all.

    Raises
    ------
    UsageError   for every name that is not registered, and for what cannot be read
    """
    return LayerMap.parse(name, CODECS)


def identity(name: str, layers: int) -> Identity:
    """Return what makes one codec's blocks of so many layers others than another's.

    Raises
    ------
    UsageError   as `parse`
    """
    codecs = parse(name).codecs(layers)
    if len(set(codecs)) == 1:
        return Identity(codecs[0].id, b"")
    return Identity(ByLayer.id, struct.pack(f"<{layers}H", *(codec.id for codec in codecs)))


def create(name: str, layout: BlockLayout) -> Codec:
    """Return a codec for one layout's frames; it is for one thread at a time.

    Parameters
    ----------
    name : str   of `CODECS`, or which codec each layer has (`parse`)

    Raises
    ------
    UsageError   for a name that is not registered, and for a layout that the codec cannot take
    """
    said = parse(name)
    if problems := said.problems_with(layout):
        raise UsageError(problems)
    codecs = said.codecs(layout.geometry.layers)
    return codecs[0](layout) if len(set(codecs)) == 1 else ByLayer(layout, codecs)


def codec_class(number: int) -> type[Codec]:
    """Return the codec that a frame's number means.

    Raises
    ------
    CodecError   if there is none: another version wrote the frame, so it is a miss
    """
    if number not in _BY_ID:
        raise CodecError(f"codec {number} is not known here; {sorted(_BY_ID)} are")
    return _BY_ID[number]


def problems_with(name: str, layout: BlockLayout) -> list[str]:
    """Return why a codec cannot be used with a layout; nothing if it can."""
    try:
        return parse(name).problems_with(layout)
    except UsageError as error:
        return error.problems
