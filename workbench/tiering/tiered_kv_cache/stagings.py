"""Choose where a cold block is attended: in rows of decoded frames, or of frames as stored.

Follows: a codec says itself whether attention can read what it stores. Blocks of which rows may be
kept bit for bit are decoded: a sequence's first one, and one that is not full.
Leaves out: reading (staging.py), and the walk over a sequence's blocks (attending.py).

Where the codec can be attended as stored, that is what is done: 64 MiB hold 3.1 times as many
tokens as int4, 1.7 times as int8, and nothing is decoded, written and read again. Behind 4,096 cold
tokens of the 135M model a step is 1.9 (int8), 3.1 (int4) and 2.6 times (int4-hadamard) as fast.
Where all cold blocks would fit decoded, 2,048 tokens, int8 and int4 cost nothing, and int4-hadamard
an eighth to a quarter: every tile is rotated back. ``attend_stored=False`` is for that. Prefill is
no slower either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier
from workbench.tiering.tiered_kv_cache.layout import BlockLayout, Places
from workbench.tiering.tiered_kv_cache.slot_pool import Slots
from workbench.tiering.tiered_kv_cache.staging import MIN_ROWS, Staging

# Of the memory, for the few blocks that are decoded although others are not.
_DECODED_SHARE = 8


class Rows(NamedTuple):
    """Staged frames of one kind.

    Attributes
    ----------
    staging : Staging
    dtype : int                 how values are kept in a row (kernels/kv_tile.py)
    places : tuple of Places    where each layer's parts lie within its frame's row
    """

    staging: Staging
    dtype: int
    places: tuple[Places, ...]


class Stagings(Closing):
    """The memory through which cold blocks are attended. Safe between threads."""

    def __init__(
        self, layout: BlockLayout, cold: ColdTier, limit_bytes: int, *, attend_stored: bool
    ) -> None:
        """Take the memory, and share it out.

        Parameters
        ----------
        attend_stored : bool   where the codec can; False: everything is decoded

        Raises
        ------
        UsageError   if fewer than two decoded frames fit
        """
        self.stored = _stored_rows(layout, cold, limit_bytes) if attend_stored else None
        used = 0 if self.stored is None else self.stored.staging.memory.nbytes
        decoded = Staging(layout.frame_bytes, cold.get, limit_bytes - used)
        # A staged row holds one frame, not a whole block.
        places = [layout.places(n % layout.frame_layers) for n in range(layout.geometry.layers)]
        self.decoded = Rows(decoded, layout.tile_dtype, tuple(places))
        self._all = [one.staging for one in (self.decoded, self.stored) if one is not None]

    def split(self, numbers: Slots, n_full: int) -> Iterator[tuple[Rows, Slots]]:
        """Yield cold blocks of a sequence by where they are staged, in their order.

        Parameters
        ----------
        numbers : int64[n]   within the sequence, ascending
        n_full : int         blocks of lower numbers are attended to their last token; a partial
                             one is not among them
        """
        if self.stored is None:
            yield self.decoded, numbers
            return
        first, last = np.searchsorted(numbers, (1, n_full))
        yield self.decoded, numbers[:first]
        yield self.stored, numbers[first : max(first, last)]
        yield self.decoded, numbers[max(first, last) :]

    @property
    def frames_read(self) -> int:
        """Return how many frames were read."""
        return sum(one.frames_read for one in self._all)

    @property
    def frames_reused(self) -> int:
        """Return how many frames were found staged."""
        return sum(one.frames_reused for one in self._all)

    @property
    def waited_s(self) -> float:
        """Return the seconds that attention waited for frames."""
        return sum(one.waited_s for one in self._all)

    @property
    def nbytes(self) -> int:
        """Return the memory taken."""
        return sum(one.memory.nbytes for one in self._all)

    def close(self) -> None:
        """Stop once all that was asked for has been read."""
        for one in self._all:
            one.close()


def _stored_rows(layout: BlockLayout, cold: ColdTier, limit_bytes: int) -> Rows | None:
    """Return rows for frames as they are stored; None if the codec or the memory has no place."""
    form = cold.stored_form()
    if form is None:
        return None
    for_decoded = max(MIN_ROWS * layout.frame_bytes, limit_bytes // _DECODED_SHARE)
    row_bytes = -(-form.frame_bytes // PAGE_BYTES) * PAGE_BYTES
    left = limit_bytes - for_decoded
    if left < MIN_ROWS * row_bytes:
        return None
    places = tuple(Places(*one) for one in form.places)
    return Rows(Staging(row_bytes, cold.get_stored, left), form.dtype, places)
