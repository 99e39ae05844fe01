"""The blocks that one sequence is made of, in order, each sealed under its key or still open.

Follows: copy on write; an open block is shared by sequences forked from one another until one of
them writes into it, a sealed one by everybody, for good.
Leaves out: tokens and layers (sequence.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from workbench.tiering.tiered_kv_cache.block_key import ROOT
from workbench.tiering.tiered_kv_cache.core import Core
from workbench.tiering.tiered_kv_cache.slot_pool import Slots


class OpenBlock:
    """A block without a key, in a slot of its own."""

    __slots__ = ("n_sharing", "slot")

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.n_sharing = 1


class Span(NamedTuple):
    """Consecutive blocks of a sequence that lie alike.

    Attributes
    ----------
    first : int                  number of the first one
    keys : tuple of bytes[n]     their keys, empty for open ones
    slots : int64[n] or None     their slots; None: they are cold
    """

    first: int
    keys: tuple[bytes, ...]
    slots: Slots | None

    @property
    def stop(self) -> int:
        """Return the number of the block after the last one."""
        return self.first + len(self.keys)

    def cut(self, first: int, stop: int) -> Span:
        """Return the part of these blocks whose numbers are in a range; it may be empty."""
        if first <= self.first and self.stop <= stop:
            return self
        first, stop = max(first, self.first), min(stop, self.stop)
        part = slice(first - self.first, max(first, stop) - self.first)
        slots = None if self.slots is None else self.slots[part]
        return Span(first, self.keys[part], slots)


class BlockList:
    """The blocks of one sequence; each is referred to as long as it is in here."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._blocks: list[bytes | OpenBlock] = []
        self._spans: list[Span] = []
        self._spans_version = -1
        self._n_recent = -(-core.config.recent_tokens // core.layout.block_tokens)
        self._pinned: list[bytes] = []

    def __len__(self) -> int:
        return len(self._blocks)

    def key(self, number: int) -> bytes:
        """Return the key of a sealed block; of number -1 the root's, the parent of the first."""
        if number < 0:
            return ROOT
        block = self._blocks[number]
        assert isinstance(block, bytes)
        return block

    def place(self, number: int) -> int | bytes:
        """Return the slot of an open block, or the key of a sealed one."""
        block = self._blocks[number]
        return block.slot if isinstance(block, OpenBlock) else block

    # Growing and shrinking

    def grow(self, n_blocks: int) -> None:
        """Add open blocks.

        Raises
        ------
        CacheFullError   if there is no room; nothing changed
        """
        self._blocks += [OpenBlock(slot) for slot in self._core.reserve(n_blocks)]
        self._spans_version = -1

    def take(self, keys: Sequence[bytes]) -> None:
        """Add sealed blocks that are referred to already. The core's lock is held."""
        self._blocks += keys
        self._changed()

    def own_last(self) -> None:
        """Give the last block a slot that only this sequence writes to, with the same bytes.

        Raises
        ------
        CacheFullError   if there is no room
        LookupError      if its bytes cannot be had any more
        """
        last = self._blocks[-1]
        if isinstance(last, OpenBlock) and last.n_sharing == 1:
            return
        (slot,) = self._core.reserve(1)
        self._core.copy_block(slot, self.place(len(self) - 1))
        self.cut(len(self) - 1)
        self._blocks.append(OpenBlock(slot))

    def seal(self, number: int, key: bytes) -> None:
        """Name a full block. The core's lock is held."""
        block = self._blocks[number]
        assert isinstance(block, OpenBlock)
        assert block.n_sharing == 1
        self._core.directory.claims.refer(key)
        self._core.directory.seal(block.slot, key)
        self._blocks[number] = key
        self._changed()

    def cut(self, n_blocks: int) -> None:
        """Let go of all blocks but the first so many."""
        with self._core.changed:
            for block in reversed(self._blocks[n_blocks:]):
                if isinstance(block, bytes):
                    self._core.directory.unrefer(block)
                else:
                    block.n_sharing -= 1
                    if not block.n_sharing:
                        self._core.give_back([block.slot])
            del self._blocks[n_blocks:]
            self._changed()

    def shared(self, n_blocks: int) -> BlockList:
        """Return a list of the first so many blocks, the same ones."""
        other = BlockList(self._core)
        with self._core.changed:
            for block in self._blocks[:n_blocks]:
                if isinstance(block, bytes):
                    self._core.directory.claims.refer(block)
                else:
                    block.n_sharing += 1
                other._blocks.append(block)
            other._changed()
        return other

    def _changed(self) -> None:
        """Forget where the blocks lay, and keep the newest of them hot."""
        self._spans_version = -1
        if self._n_recent:
            claims = self._core.directory.claims
            newest = [
                block for block in self._blocks[-self._n_recent :] if isinstance(block, bytes)
            ]
            for key in newest:
                claims.pin(key)
            for key in self._pinned:
                claims.unpin(key)
            self._pinned = newest

    # Finding

    def open_slots(self, first: int) -> Slots:
        """Return the slots of the open blocks from a number on."""
        slots = [block.slot for block in self._blocks[first:] if isinstance(block, OpenBlock)]
        return np.array(slots, np.int64)

    def sealed_keys(self) -> list[bytes]:
        """Return the keys of all sealed blocks."""
        return [block for block in self._blocks if isinstance(block, bytes)]

    def spans(self) -> list[Span]:
        """Return where the blocks lie now. The core's lock is held."""
        if self._spans_version != self._core.directory.version:
            self._spans = list(self._find())
            self._spans_version = self._core.directory.version
        return self._spans

    def _find(self) -> Iterator[Span]:
        directory = self._core.directory
        places = [
            (block, directory.slot(block)) if isinstance(block, bytes) else (b"", block.slot)
            for block in self._blocks
        ]
        first = 0
        for is_cold, group in groupby(places, lambda place: place[1] is None):
            keys, slots = zip(*group, strict=True)
            yield Span(first, keys, None if is_cold else np.array(slots, np.int64))
            first += len(keys)
