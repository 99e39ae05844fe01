"""Write a whole sequence to the SSD tier, its last partial block too, so that it can be resumed.

Follows: a partial block is stored under the key of its shorter token list; what lies behind its
tokens is zeroed, so that nothing of the slot's past gets out.
Leaves out: reading it back, which is an ordinary load.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache import packing
from workbench.tiering.tiered_kv_cache.block_list import BlockList
from workbench.tiering.tiered_kv_cache.core import Core


def persist(core: Core, blocks: BlockList, token_ids: Sequence[int]) -> bool:
    """Write what the SSD tier has not, and flush; return whether all of it survives power loss."""
    if core.behind is None:
        return False
    n_full, n_rest = divmod(len(token_ids), core.layout.block_tokens)
    is_stored = _write_full(core, [blocks.key(number) for number in range(n_full)])
    if is_stored and n_rest:
        ids = token_ids[-n_rest:]
        is_stored = _write_tail(core, blocks, core.keys.key(blocks.key(n_full - 1), ids), n_rest)
    return is_stored and core.behind.cold.flush()


def _write_full(core: Core, keys: Sequence[bytes]) -> bool:
    assert core.behind is not None
    cold, directory = core.behind.cold, core.directory
    with core.changed:
        core.wait_for(keys, core.layout.n_frames - 1)
        # What is on its way would be written twice.
        core.settle()
        core.behind.writer.await_writes(keys, core.config.close_wait_s)
        missing = [key for key in keys if not cold.contains(key)]
        slots = [directory.slot_to_write(key) for key in missing]
        here = [(key, slot) for key, slot in zip(missing, slots, strict=True) if slot is not None]
        held = np.array([slot for _, slot in here], np.int64)
        directory.slots.hold(held)
    try:
        stored = cold.put([(key, core.slab.frames(slot)) for key, slot in here])
    finally:
        core.unhold(held)
    return all(stored) and len(here) == len(missing)


def _write_tail(core: Core, blocks: BlockList, key: bytes, n_tokens: int) -> bool:
    assert core.behind is not None
    layout = core.layout
    memory = allocate(layout.block_bytes)
    try:
        core.read_block(memory, blocks.place(len(blocks) - 1))
    except LookupError:
        return False
    packing.clear(layout, memory, n_tokens)
    frames = [memory[layout.frame_slice(frame)] for frame in range(layout.n_frames)]
    return all(core.behind.cold.put([(key, frames)], n_tokens))
