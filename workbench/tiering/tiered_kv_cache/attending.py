"""Walk over one layer of a sequence, block by block: hot ones where they are, cold ones staged.

Follows: attention reads every block once, in the order of positions, while the next ones are read.
Leaves out: attention itself (kernels); promotion (loading.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from workbench.tiering.tiered_kv_cache.block_list import BlockList, Span
from workbench.tiering.tiered_kv_cache.core import Core
from workbench.tiering.tiered_kv_cache.layout import LayerRun
from workbench.tiering.tiered_kv_cache.slot_pool import Slots
from workbench.tiering.tiered_kv_cache.staging import Batch, Name, Staging

_NO_SLOTS = np.empty(0, np.int64)


def attend(core: Core, blocks: BlockList, layer: int, start: int, stop: int) -> Iterator[LayerRun]:
    """Yield the blocks that hold the tokens from start to stop, the last one cut at stop.

    Their slots are held until the walk ends.

    Raises
    ------
    LookupError      with the number of the first block that cannot be had
    CacheFullError   if others use all of the staging memory
    """
    layout, size = core.layout, core.layout.block_tokens
    frame = layout.frame_of(layer)
    with core.changed:
        if core.is_loading:
            core.wait_for(blocks.sealed_keys(), frame)
        cut = [span.cut(start // size, -(-stop // size)) for span in blocks.spans()]
        held = np.concatenate([_NO_SLOTS, *(span.slots for span in cut if span.slots is not None)])
        core.directory.slots.hold(held)
    staging = core.behind.staging if core.behind else None
    spans = list(_small(cut, staging.batch_blocks if staging else 1))
    reader = _ReadAhead(staging, [span for span in spans if span.slots is None], frame)
    try:
        reader.start()
        for span in spans:
            n_tokens = min(stop, span.stop * size) - span.first * size
            if span.slots is not None:
                yield LayerRun(core.slab.memory, span.slots, core.places[layer], n_tokens)
            else:
                # A staged row holds one frame, not a whole block.
                places = core.places[layer % layout.frame_layers]
                yield LayerRun(reader.memory, reader.next(), places, n_tokens)
        if layer + 1 == layout.geometry.layers or layout.frame_of(layer + 1) != frame:
            reader.foresee((frame + 1) % layout.n_frames)
    finally:
        reader.release()
        core.unhold(held)


def _small(spans: Sequence[Span], batch_blocks: int) -> Iterator[Span]:
    """Yield the spans that are not empty, cold ones in parts that are staged at once."""
    for span in spans:
        step = len(span.keys) if span.slots is not None else batch_blocks
        for first in range(span.first, span.stop, max(1, step)):
            yield span.cut(first, first + step)


class _ReadAhead:
    """The cold parts of one walk: one is consumed while the next one is read."""

    def __init__(self, staging: Staging | None, spans: Sequence[Span], frame: int) -> None:
        self._staging = staging
        self._spans = spans
        self._frame = frame
        self._n_leased = 0
        self._leased: deque[Batch] = deque()
        self._current: Batch | None = None

    @property
    def memory(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Return the rows that `next` numbers."""
        assert self._staging is not None, "without an SSD tier no block is cold"
        return self._staging.memory

    def start(self) -> None:
        """Begin to read."""
        if self._spans:
            self._lease(wait=False)

    def next(self) -> Slots:
        """Return the rows of the next part, once it is there, and begin to read the one after it.

        Raises
        ------
        LookupError   with the number of the first block that cannot be had
        """
        self._release_current()
        first = self._spans[self._n_leased - len(self._leased)].first
        if not self._leased:
            self._lease(wait=True)
        self._current = self._leased.popleft()
        if self._n_leased < len(self._spans):
            self._lease(wait=False)
        try:
            return self._current.wait()
        except LookupError as error:
            raise LookupError(first + error.args[0]) from None

    def foresee(self, frame: int) -> None:
        """Begin to read another frame of the first two parts: the next walk will want them."""
        self.release()
        for span in self._spans[:2]:
            assert self._staging is not None
            self._staging.read_ahead(_names(span, frame))

    def release(self) -> None:
        """Take all leases back."""
        self._release_current()
        while self._leased:
            assert self._staging is not None
            self._staging.release(self._leased.popleft())

    def _release_current(self) -> None:
        if self._current is not None and self._staging is not None:
            self._staging.release(self._current)
        self._current = None

    def _lease(self, *, wait: bool) -> None:
        if self._staging is None:
            raise LookupError(self._spans[0].first)
        span = self._spans[self._n_leased]
        batch = self._staging.lease(_names(span, self._frame), wait=wait)
        if batch is not None:
            self._leased.append(batch)
            self._n_leased += 1


def _names(span: Span, frame: int) -> list[Name]:
    return [(key, frame) for key in span.keys]
