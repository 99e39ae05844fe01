"""One growing list of tokens and its keys and values, in whatever tier they are.

Follows: paged attention; results do not depend on the tier that a block comes from.
Leaves out: where blocks are and what leaves (directory.py); how values are packed (packing.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from workbench.errors import UsageError
from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache import packing
from workbench.tiering.tiered_kv_cache.attending import attend
from workbench.tiering.tiered_kv_cache.block_key import pack_ids
from workbench.tiering.tiered_kv_cache.block_list import BlockList
from workbench.tiering.tiered_kv_cache.core import Core
from workbench.tiering.tiered_kv_cache.errors import BlockLostError, CacheFullError
from workbench.tiering.tiered_kv_cache.layout import BlockLayout, LayerRun
from workbench.tiering.tiered_kv_cache.packing import Floats, Tokens
from workbench.tiering.tiered_kv_cache.persisting import persist
from workbench.tiering.tiered_kv_cache.slot_pool import Slots


class CachedSequence(Closing):
    """The keys and values of one sequence. For one thread at a time; made by `TieredKVCache`.

    A step of a model is `extend`, then for each layer `store` and `runs`. Tokens count once every
    layer has been stored. Full blocks are sealed then: other sequences can be made of them.
    """

    def __init__(self, core: Core) -> None:
        """Start empty; use `TieredKVCache.sequence`."""
        self._core = core
        self._layout = core.layout
        self._blocks = BlockList(core)
        self._token_ids: list[int] = []
        self._n_tokens = 0
        # Where the tokens of the last extend go: a slot and a row within it for each.
        self._new_slots = self._new_rows = np.empty(0, np.int64)
        self._stored_layers: set[int] = set()
        self._closed = False
        with core.changed:
            core.sequences.add(self)

    @classmethod
    def of_prefix(
        cls, core: Core, token_ids: Sequence[int], keys: Sequence[bytes]
    ) -> CachedSequence:
        """Return a sequence of tokens whose blocks are referred to already."""
        sequence = cls(core)
        sequence._blocks.take(keys)
        sequence._token_ids = list(token_ids)
        sequence._n_tokens = len(token_ids)
        return sequence

    @property
    def n_tokens(self) -> int:
        """Return the tokens whose keys and values are there in every layer."""
        return self._n_tokens

    @property
    def token_ids(self) -> list[int]:
        """Return a copy of the ids of these tokens."""
        return self._token_ids[: self._n_tokens]

    @property
    def layout(self) -> BlockLayout:
        """Return where a block's values lie."""
        return self._layout

    @property
    def n_blocks(self) -> int:
        """Return the blocks that hold these tokens and those being stored."""
        return len(self._blocks)

    @property
    def _n_new(self) -> int:
        """Return the tokens that are not stored in every layer yet."""
        return len(self._token_ids) - self._n_tokens

    # Growing

    def extend(self, token_ids: Sequence[int]) -> None:
        """Reserve places for the next tokens; older blocks may leave memory for them.

        Raises
        ------
        UsageError       for a bad token id, or while tokens of an earlier call are not stored
        CacheFullError   if there is no room; the sequence is as it was
        BlockLostError   if the block to go on in cannot be read
        """
        self._require_settled()
        pack_ids(token_ids)
        size = self._layout.block_tokens
        first, stop = self._n_tokens // size, self._n_tokens + len(token_ids)
        if len(token_ids) and first < len(self._blocks):
            self._own_last()
        self._blocks.grow(-(-stop // size) - len(self._blocks))
        self._token_ids += token_ids
        positions = np.arange(self._n_tokens, stop)
        self._new_slots = self._blocks.open_slots(first)[positions // size - first]
        self._new_rows = positions % size

    def _own_last(self) -> None:
        try:
            self._blocks.own_last()
        except LookupError:
            raise self._lost(len(self._blocks) - 1) from None

    def store(self, layer: int, k: Tokens, v: Tokens) -> None:
        """Store one layer's keys and values of the tokens of the last `extend`.

        Parameters
        ----------
        layer : int                                 0-based; layers may come in any order
        k, v : float32[n_new, kv_heads, head_dim]   C-contiguous; kept in the cache's dtype

        Raises
        ------
        UsageError   if there is no such layer
        ValueError   if shape, dtype or contiguity are others; nothing is stored
        """
        self._require_open()
        self._require_layer(layer)
        self._core.packer.store(self._new_slots, self._new_rows, layer, k, v)
        self._stored_layers.add(layer)
        if len(self._stored_layers) == self._layout.geometry.layers:
            self._complete()

    def append(self, token_ids: Sequence[int], k: Tokens, v: Tokens) -> None:
        """Store the next tokens in all layers at once, as many as you like.

        Parameters
        ----------
        k, v : float32[n_new, layers, kv_heads, head_dim]   C-contiguous; float16 where that is kept

        Raises
        ------
        As `extend` and `store`; if there is no room the sequence is as it was
        """
        self._require_settled()
        geometry = self._layout.geometry
        shape = (len(token_ids), geometry.layers, geometry.kv_heads, geometry.head_dim)
        self._core.packer.expect(k, v, shape)
        before, start, size = self._n_tokens, 0, self._layout.block_tokens
        try:
            while start < len(token_ids):
                # One block after another, so that the sequence may be larger than the hot slab.
                stop = min(len(token_ids), start + size - self._n_tokens % size)
                self.extend(token_ids[start:stop])
                slots, rows = self._new_slots, self._new_rows
                self._core.packer.store_all(slots, rows, k[start:stop], v[start:stop])
                self._complete()
                start = stop
        except CacheFullError:
            self.truncate(before)
            raise

    def _complete(self) -> None:
        """Let the new tokens count, and seal the blocks that are full now."""
        size = self._layout.block_tokens
        first, full = self._n_tokens // size, len(self._token_ids) // size
        self._n_tokens = len(self._token_ids)
        self._stored_layers.clear()
        if first == full:
            return
        with self._core.changed:
            for number in range(first, full):
                ids = self._token_ids[number * size : (number + 1) * size]
                self._blocks.seal(number, self._core.keys.key(self._blocks.key(number - 1), ids))
            self._core.settle()

    def attach(self, token_ids: Sequence[int]) -> int:
        """Go on with blocks of the next tokens that are in memory; return how many tokens they are.

        None, unless the sequence ends with a full block.

        Raises
        ------
        UsageError   for a bad token id, or while tokens of an earlier call are not stored
        """
        self._require_settled()
        core, size = self._core, self._layout.block_tokens
        if self._n_tokens % size:
            return 0
        keys: list[bytes] = []
        with core.changed:
            parent = self._blocks.key(len(self._blocks) - 1)
            for start in range(0, len(token_ids) - size + 1, size):
                parent = core.keys.key(parent, token_ids[start : start + size])
                if not core.is_whole(parent):
                    break
                keys.append(parent)
            core.directory.use(keys)
            self._blocks.take(keys)
        n_tokens = len(keys) * size
        self._token_ids += token_ids[:n_tokens]
        self._n_tokens += n_tokens
        return n_tokens

    # Reading

    def runs(self, layer: int, chosen: Slots | None = None) -> Iterator[LayerRun]:
        """Yield one layer's blocks in the order of their positions, the tokens just stored too.

        A run's memory is good until the next one is asked for.

        Parameters
        ----------
        chosen : int64[n] or None   numbers of the only blocks that are wanted, ascending; the
                                    others are not read. None: all

        Raises
        ------
        UsageError       if there is no such layer, or a chosen block is none of the sequence's
        BlockLostError   if a cold block cannot be read; the sequence is cut to the tokens before it
        """
        self._require_open()
        self._require_layer(layer)
        if chosen is not None:
            self._require_blocks(chosen)
        is_stored = layer in self._stored_layers
        return self._read(layer, 0, self._n_tokens + self._n_new * is_stored, chosen)

    def cold_blocks(self) -> Slots:
        """Return the numbers of the blocks that `runs` would read from the SSD tier, ascending."""
        self._require_open()
        with self._core.changed:
            cold = [span for span in self._blocks.spans() if span.slots is None]
        return np.concatenate(
            [np.empty(0, np.int64), *(np.arange(span.first, span.stop) for span in cold)]
        )

    def _read(
        self, layer: int, start: int, stop: int, chosen: Slots | None = None
    ) -> Iterator[LayerRun]:
        """Yield the blocks that hold the tokens from start to stop, cut at stop."""
        try:
            yield from attend(self._core, self._blocks, layer, start, stop, chosen)
        except LookupError as error:
            raise self._lost(error.args[0]) from None

    def gather(self, layer: int, start: int, stop: int) -> tuple[Floats, Floats]:
        """Return copies of some tokens' keys and values, each float32[n, kv_heads, head_dim].

        Raises
        ------
        UsageError       if there is no such layer, or the range is not within 0..n_tokens
        BlockLostError   as `runs`
        """
        self._require_open()
        self._require_layer(layer)
        if not 0 <= start <= stop <= self._n_tokens:
            raise UsageError(
                f"tokens {start}..{stop} are not within the sequence's 0..{self._n_tokens}"
            )
        geometry, size = self._layout.geometry, self._layout.block_tokens
        k, v = np.empty((2, stop - start, geometry.kv_heads, geometry.head_dim), np.float32)
        at = start // size * size
        for run in self._read(layer, start, stop) if start < stop else ():
            first = max(start, at)
            rows = slice(first - start, at + run.n_tokens - start)
            k[rows], v[rows] = packing.unpack(self._layout, run, first - at, run.n_tokens)
            at += run.n_tokens
        return k, v

    # Cutting and sharing

    def truncate(self, n_tokens: int) -> None:
        """Forget all tokens but the first so many, and those that are not stored yet.

        Raises
        ------
        UsageError   if the sequence has not that many
        """
        self._require_open()
        self._require_within(n_tokens)
        self._blocks.cut(-(-n_tokens // self._layout.block_tokens))
        del self._token_ids[n_tokens:]
        self._n_tokens = n_tokens
        self._stored_layers.clear()

    def fork(self, n_tokens: int | None = None) -> CachedSequence:
        """Return another sequence of the first so many tokens (None: all); no byte is copied now.

        Raises
        ------
        UsageError   if the sequence has not that many, or some are not stored yet
        """
        self._require_settled()
        n_tokens = self._n_tokens if n_tokens is None else n_tokens
        self._require_within(n_tokens)
        other = CachedSequence(self._core)
        other._blocks = self._blocks.shared(-(-n_tokens // self._layout.block_tokens))
        other._token_ids = self._token_ids[:n_tokens]
        other._n_tokens = n_tokens
        return other

    def persist(self) -> bool:
        """Write all of it to the SSD tier; return whether it can be resumed, even after power loss.

        Tokens that are not stored in every layer are left out. Blocks until the device has it.
        """
        self._require_open()
        return persist(self._core, self._blocks, self.token_ids)

    def close(self) -> None:
        """Let go of all blocks; the sealed ones can be found until they are evicted."""
        if not self._closed:
            self._closed = True
            with self._core.changed:
                self._blocks.cut(0)
                self._core.sequences.discard(self)

    def shorten(self, n_blocks: int) -> None:
        """Keep no more than the first so many blocks' tokens."""
        n_tokens = n_blocks * self._layout.block_tokens
        if n_tokens < len(self._token_ids):
            self.truncate(min(self._n_tokens, n_tokens))

    def _lost(self, n_blocks: int) -> BlockLostError:
        """Cut the sequence to its first blocks, and say so."""
        self.shorten(n_blocks)
        self._core.counts.blocks_lost += 1
        return BlockLostError(self._n_tokens)

    # Refusing

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("the sequence is closed; make another one, by its prefix if need be")

    def _require_settled(self) -> None:
        self._require_open()
        if self._n_new:
            raise UsageError(
                f"{self._n_new} tokens of the last extend are not stored in every layer; store "
                f"them, or truncate({self._n_tokens})"
            )

    def _require_layer(self, layer: int) -> int:
        if not 0 <= layer < self._layout.geometry.layers:
            raise UsageError(f"layer {layer} is not within 0..{self._layout.geometry.layers - 1}")
        return layer

    def _require_blocks(self, chosen: Slots) -> None:
        n_blocks = len(self._blocks)
        if len(chosen) and not (
            chosen[0] >= 0 and chosen[-1] < n_blocks and (np.diff(chosen) > 0).all()
        ):
            raise UsageError(
                f"chosen blocks must be ascending and within 0..{n_blocks - 1}, they reach from "
                f"{chosen.min()} to {chosen.max()}"
            )

    def _require_within(self, n_tokens: int) -> None:
        if not 0 <= n_tokens <= self._n_tokens:
            raise UsageError(
                f"n_tokens={n_tokens} is not within the sequence's 0..{self._n_tokens}"
            )
