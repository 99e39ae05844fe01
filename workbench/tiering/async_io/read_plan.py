"""Say where the bytes of one batch of reads come from, and what is read ahead because of it.

Follows: deciding under a lock, moving bytes without it.
Leaves out: deciding (read_ahead.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.tiering.async_io.gain import Gain
from workbench.tiering.async_io.stream import Chunk, Piece


@dataclass(slots=True)
class Plan:
    """How one batch of reads is served.

    Attributes
    ----------
    pieces : dict   number of a request -> its bytes that are in memory or on their way
    wanted : list   files and chunks to ask for
    gain : Gain     what is known of batches of this size, if a stream goes on in this one
    """

    pieces: dict[int, list[Piece]] = field(default_factory=dict)
    wanted: list[tuple[int, Chunk]] = field(default_factory=list)
    gain: Gain | None = None

    @property
    def n_bytes(self) -> int:
        """Return how much of the batch is in memory or on its way."""
        return sum(piece.n_bytes for pieces in self.pieces.values() for piece in pieces)
