"""Walk over one layer of a sequence, block by block: hot ones where they are, cold ones staged.

Follows: attention reads every block once, in the order of positions, while the next ones are read.
Leaves out: attention itself (kernels); promotion (loading.py); which blocks may be left out
(selection.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from workbench.tiering.tiered_kv_cache.block_list import BlockList, Span
from workbench.tiering.tiered_kv_cache.core import Core
from workbench.tiering.tiered_kv_cache.layout import LayerRun
from workbench.tiering.tiered_kv_cache.slot_pool import Slots
from workbench.tiering.tiered_kv_cache.staging import Batch, Name
from workbench.tiering.tiered_kv_cache.stagings import Rows, Stagings

_NO_SLOTS = np.empty(0, np.int64)


class _Part(NamedTuple):
    """Blocks that are attended at once.

    Attributes
    ----------
    numbers : int64[n]           ascending
    keys : tuple of bytes[n]     their keys; none for hot ones
    slots : int64[n] or None     their slots; None: they are cold
    rows : Rows or None          where cold ones are staged
    """

    numbers: Slots
    keys: tuple[bytes, ...] = ()
    slots: Slots | None = None
    rows: Rows | None = None


def attend(
    core: Core,
    blocks: BlockList,
    layer: int,
    start: int,
    stop: int,
    chosen: Slots | None = None,
) -> Iterator[LayerRun]:
    """Yield the blocks that hold the tokens from start to stop, the last one cut at stop.

    Their slots are held until the walk ends.

    Parameters
    ----------
    chosen : int64[n] or None   only the blocks of these numbers, ascending; None: all

    Raises
    ------
    LookupError      with the number of the first block that cannot be had
    CacheFullError   if others use all of the staging memory
    """
    layout, size = core.layout, core.layout.block_tokens
    frame = layout.frame_of(layer)
    stagings = core.behind.stagings if core.behind else None
    with core.changed:
        if core.is_loading:
            core.wait_for(blocks.sealed_keys(), frame)
        cut = [span.cut(start // size, -(-stop // size)) for span in blocks.spans()]
        parts = list(_parts(cut, chosen, stagings, stop // size))
        held = np.concatenate([_NO_SLOTS, *(one.slots for one in parts if one.slots is not None)])
        core.directory.slots.hold(held)
    reader = _ReadAhead([one for one in parts if one.slots is None], frame)
    try:
        reader.start()
        for part in parts:
            beyond = max(0, (int(part.numbers[-1]) + 1) * size - stop)
            n_tokens = len(part.numbers) * size - beyond
            if part.slots is not None:
                where = core.slab.memory, part.slots, core.places[layer]
                yield LayerRun(*where, n_tokens, layout.tile_dtype)
            else:
                rows, slots = reader.next()
                where = rows.staging.memory, slots, rows.places[layer]
                yield LayerRun(*where, n_tokens, rows.dtype)
        is_last = layer + 1 == layout.geometry.layers or layout.frame_of(layer + 1) != frame
        # What another layer chooses follows from queries that are not there yet.
        if is_last and chosen is None:
            reader.foresee((frame + 1) % layout.n_frames)
    finally:
        reader.release()
        core.unhold(held)


def _parts(
    spans: Sequence[Span], chosen: Slots | None, stagings: Stagings | None, n_full: int
) -> Iterator[_Part]:
    """Yield the chosen blocks, cold ones in parts that are staged at once.

    Parameters
    ----------
    n_full : int   blocks of lower numbers are attended to their last token
    """
    for span in spans:
        numbers = np.arange(span.first, span.stop)
        if chosen is not None:
            first, stop = np.searchsorted(chosen, (span.first, span.stop))
            numbers = chosen[first:stop]
        if not len(numbers):
            continue
        if span.slots is not None:
            yield _Part(numbers, slots=span.slots[numbers - span.first])
            continue
        if stagings is None:
            raise LookupError(int(numbers[0]))
        yield from _cold_parts(span, numbers, stagings, n_full)


def _cold_parts(span: Span, numbers: Slots, stagings: Stagings, n_full: int) -> Iterator[_Part]:
    """Yield blocks that are staged alike, as many as are staged at once."""
    for rows, alike in stagings.split(numbers, n_full):
        size = rows.staging.batch_blocks
        for some in (alike[first : first + size] for first in range(0, len(alike), size)):
            keys = tuple(span.keys[at - span.first] for at in some)
            yield _Part(some, keys, rows=rows)


class _ReadAhead:
    """The cold parts of one walk: one is consumed while the next one is read."""

    def __init__(self, parts: Sequence[_Part], frame: int) -> None:
        self._parts = parts
        self._frame = frame
        self._n_leased = 0
        self._leased: deque[_Leased] = deque()
        self._current: _Leased | None = None

    def start(self) -> None:
        """Begin to read."""
        if self._parts:
            self._lease(wait=False)

    def next(self) -> tuple[Rows, Slots]:
        """Return the rows of the next part, once it is there, and begin to read the one after it.

        Raises
        ------
        LookupError   with the number of the first block that cannot be had
        """
        self._release_current()
        part = self._parts[self._n_leased - len(self._leased)]
        if not self._leased:
            self._lease(wait=True)
        self._current = self._leased.popleft()
        if self._n_leased < len(self._parts):
            self._lease(wait=False)
        rows, batch = self._current
        try:
            return rows, rows.staging.rows_of(batch)
        except LookupError as error:
            raise LookupError(int(part.numbers[error.args[0]])) from None

    def foresee(self, frame: int) -> None:
        """Begin to read another frame of the first two parts: the next walk will want them."""
        self.release()
        for part in self._parts[:2]:
            _rows_of(part).staging.read_ahead(_names(part, frame))

    def release(self) -> None:
        """Take all leases back."""
        self._release_current()
        while self._leased:
            rows, batch = self._leased.popleft()
            rows.staging.release(batch)

    def _release_current(self) -> None:
        if self._current is not None:
            rows, batch = self._current
            rows.staging.release(batch)
        self._current = None

    def _lease(self, *, wait: bool) -> None:
        part = self._parts[self._n_leased]
        rows = _rows_of(part)
        batch = rows.staging.lease(_names(part, self._frame), wait=wait)
        if batch is not None:
            self._leased.append(_Leased(rows, batch))
            self._n_leased += 1


class _Leased(NamedTuple):
    """A batch, and the rows it is of."""

    rows: Rows
    batch: Batch


def _rows_of(part: _Part) -> Rows:
    assert part.rows is not None, "only cold parts are staged"
    return part.rows


def _names(part: _Part, frame: int) -> list[Name]:
    return [(key, frame) for key in part.keys]
