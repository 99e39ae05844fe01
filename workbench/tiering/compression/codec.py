"""Say what a codec is: it makes one frame of a block smaller, and whole again in place.

Follows: sizes come from the layout and the index, never from the stored bytes alone; a decoder
checks every length before it writes.
Leaves out: which frames (tiered_kv_cache/cold_tier.py), sums over stored bytes (ssd_tier), keys.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError, WorkbenchError

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

Bytes = NDArray[np.uint8]
Halves = NDArray[np.uint16]


class CodecError(WorkbenchError):
    """Stored bytes are not what the codec writes; below the cache this is a miss and a counter."""


class Kept(NamedTuple):
    """Tokens of a block that a codec which loses most keeps bit for bit: rows within the block.

    Attributes
    ----------
    first : int         the first so many: attention sinks, in a sequence's first block
    start, stop : int   a run of others: the newest tokens of a sequence's last block
    """

    first: int = 0
    start: int = 0
    stop: int = 0

    def rows(self, n_tokens: int) -> NDArray[np.bool_]:
        """Return bool[n_tokens], true where a token is kept."""
        rows = np.zeros(n_tokens, np.bool_)
        rows[: self.first] = rows[self.start : self.stop] = True
        return rows


KEEP_NOTHING = Kept()


class StoredForm(NamedTuple):
    """How attention reads frames as they are stored, if none of their rows is kept bit for bit.

    It finds the very values that `Codec.decode` writes.

    Attributes
    ----------
    dtype : int                              as kernels/kv_tile.py numbers it
    frame_bytes : int                        of the largest such frame
    places : tuple of (k, v, scales of both)  of each layer, byte offsets within its stored frame
    """

    dtype: int
    frame_bytes: int
    places: tuple[tuple[int, int, int, int], ...]


class Codec(ABC):
    """Encodes and decodes frames of one layout. For one thread: it has scratch memory of its own.

    Attributes
    ----------
    name : str               as configurations and reports call it
    id : int                 0..65535, told to the SSD tier and part of every key; never used again
    dtypes : tuple of str    what the hot tier may hold
    is_exact : bool          whether every bit comes back
    keeps : Kept             the most it keeps bit for bit where it is asked to
    max_stored_bytes : int   no frame is stored in more
    """

    name: ClassVar[str]
    id: ClassVar[int]
    dtypes: ClassVar[tuple[str, ...]] = ("float16",)
    is_exact: ClassVar[bool] = False
    max_stored_bytes: int

    def __init__(self, layout: BlockLayout) -> None:
        """Take scratch memory for one frame.

        Raises
        ------
        UsageError   naming everything that the codec cannot take about the layout
        """
        if problems := self.problems_with(layout):
            raise UsageError(problems)
        self.layout = layout
        geometry = layout.geometry
        self._tokens, self._head_dim = layout.block_tokens, geometry.head_dim
        self._width = geometry.kv_heads * geometry.head_dim

    @classmethod
    def problems_with(cls, layout: BlockLayout) -> list[str]:
        """Return what the codec cannot take about a layout."""
        dtype = layout.geometry.dtype
        if dtype in cls.dtypes:
            return []
        wanted = " or ".join(cls.dtypes)
        return [f"codec {cls.name!r} codes {wanted}, the cache keeps {dtype}; change either"]

    @abstractmethod
    def encode(self, frame: Bytes, number: int, out: Bytes, kept: Kept = KEEP_NOTHING) -> int:
        """Write a frame's stored bytes and return how many they are.

        Parameters
        ----------
        frame : uint8[frame_bytes]         as the layout has it; what lies behind its layers is left
        number : int                       of the frame within its block
        out : uint8[>= max_stored_bytes]   written from the start
        kept : Kept                        rows to keep bit for bit, where the codec does that
        """

    @abstractmethod
    def decode(self, stored: Bytes, number: int, out: Bytes) -> None:
        """Restore a frame's layers.

        Parameters
        ----------
        stored : uint8[n]          what `encode` wrote, all of it
        number : int               of the frame within its block
        out : uint8[frame_bytes]   written; after an error it may hold anything

        Raises
        ------
        CodecError   if the bytes are not what this codec writes for such a frame
        """

    def stored_form(self) -> StoredForm | None:
        """Return how attention reads stored frames; None: they are decoded first."""
        return None

    def require_stored(self, stored: Bytes, number: int) -> None:
        """Refuse what attention could not read as `stored_form` says.

        Raises
        ------
        CodecError   if the bytes are not what this codec writes for a frame that keeps no rows
        """
        raise CodecError(f"frames of {self.name} must be decoded")

    def _layers(self, number: int) -> int:
        """Return the layers of a frame; the last one of a block may have fewer."""
        size, layers = self.layout.frame_layers, self.layout.geometry.layers
        return min(size, layers - number * size)

    def _planes(self, frame: Bytes, number: int) -> Halves:
        """Return a frame's values as uint16[layers, 2, tokens, width]: K and V of every layer."""
        layers = self._layers(number)
        n_bytes = layers * self.layout.layer_bytes
        planes: Halves = frame[:n_bytes].view(np.uint16)
        return planes.reshape(layers, 2, self._tokens, self._width)

    def _require(self, found: int, expected: int) -> None:
        """Raise CodecError unless the stored length is the one that it must be."""
        if found != expected:
            raise CodecError(
                f"{found:,} stored bytes are no frame of {self.name}, which has {expected:,}"
            )


class Cursor:
    """Cuts typed arrays one after another from a piece of memory, all views."""

    def __init__(self, memory: Bytes) -> None:
        self._memory = memory
        self.at = 0

    def halves(self, *shape: int) -> Halves:
        """Return the next 16-bit words."""
        words: Halves = self.octets(2, *shape).view(np.uint16)
        return words.reshape(shape)

    def octets(self, *shape: int) -> Bytes:
        """Return the next bytes."""
        n_bytes = int(np.prod(shape))
        part = self._memory[self.at : self.at + n_bytes]
        self.at += n_bytes
        return part.reshape(shape) if len(part) == n_bytes else part
