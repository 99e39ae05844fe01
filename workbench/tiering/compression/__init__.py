"""Make a block's frames smaller for the SSD, and whole again: one codec a file, one interface.

A codec is asked for by name; its number travels in frames and keys, so that what one codec wrote is
never read by another.

    codec = compression.create("int8", layout)             # for one thread
    out = np.empty(codec.max_stored_bytes, np.uint8)
    n = codec.encode(frame, number, out)                   # frame: uint8[layout.frame_bytes]
    codec.decode(out[:n], number, restored)                # CodecError if the bytes are not its own
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import UsageError
from workbench.tiering.compression.codec import KEEP_NOTHING, Bytes, Codec, CodecError, Kept
from workbench.tiering.compression.int4 import Int4, Int4Hadamard
from workbench.tiering.compression.int8 import Int8
from workbench.tiering.compression.int8_channel import Int8Channel
from workbench.tiering.compression.lossless import Lossless
from workbench.tiering.compression.none import NoCodec
from workbench.tiering.compression.packed import Int4HadamardPacked, Int8Packed
from workbench.tiering.named import pick

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

__all__ = [
    "CODECS",
    "KEEP_NOTHING",
    "Bytes",
    "Codec",
    "CodecError",
    "Kept",
    "codec_class",
    "create",
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
_BY_ID = {codec.id: codec for codec in _ALL}
assert len(_BY_ID) == len(CODECS) == len(_ALL)


def create(name: str, layout: BlockLayout) -> Codec:
    """Return a codec for one layout's frames; it is for one thread at a time.

    Raises
    ------
    UsageError   for a name that is not registered, and for a layout that the codec cannot take
    """
    return pick("codec", name, CODECS)(layout)


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
        problems: list[str] = pick("codec", name, CODECS).problems_with(layout)
    except UsageError as error:
        return error.problems
    return problems
