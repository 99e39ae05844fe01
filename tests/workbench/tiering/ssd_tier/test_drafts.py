"""A draft holds what will be written, and nothing of what its buffer held before."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.faulty_store import block
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.drafts import (
    Draft,
    draft_block,
    draft_mark,
    draft_tombstone,
    draft_unsealed,
)
from workbench.tiering.ssd_tier.frame import Attributes, Kind

KEY = b"k" * 32


def dirty_pool() -> BufferPool:
    """Return a pool whose buffers all hold somebody's secrets."""
    pool = BufferPool(1 << 20)
    for n_pages in range(1, 5):
        views = [pool.lease(n_pages * PAGE_BYTES) for _ in range(16)]
        for view in views:
            view[:] = b"\xee" * view.nbytes
        del view, views
    return pool


def drafted(value: memoryview) -> Draft:
    return draft_block(dirty_pool(), KEY, value, payload_sum(value), Attributes())


@pytest.mark.parametrize("n_bytes", [0, 1, 4095, 4096, 4097, 8192, 9000])
def test_the_payload_follows_the_header_and_zeros_follow_the_payload(n_bytes: int) -> None:
    value = block(1, 0, n_bytes)
    draft = drafted(memoryview(value))
    payload = b"".join((draft.pages[PAGE_BYTES:], *draft.rest))
    assert payload == value + bytes(-n_bytes % PAGE_BYTES)
    assert draft.n_pages * PAGE_BYTES == draft.pages.nbytes + sum(r.nbytes for r in draft.rest)
    assert (draft.kind, draft.key, draft.stored_bytes) == (Kind.BLOCK, KEY, n_bytes)
    assert draft.checksum == payload_sum(value)


def test_whole_pages_are_written_from_where_the_caller_has_them() -> None:
    value = aligned_buffer(2 * PAGE_BYTES)
    draft = drafted(value)
    assert draft.pages.nbytes == PAGE_BYTES
    value[5000] = 77
    assert draft.rest[0][5000] == 77, "it is the caller's own memory"


def test_whole_pages_off_the_grid_are_copied() -> None:
    value = aligned_buffer(3 * PAGE_BYTES)[512 : 512 + 2 * PAGE_BYTES]
    draft = drafted(value)
    assert draft.rest == ()
    value[:] = b"\x01" * value.nbytes
    assert not any(draft.pages[PAGE_BYTES:]), "the draft is a copy"


def test_read_only_values_can_be_drafted() -> None:
    array = np.arange(1000, dtype=np.uint8)
    array.flags.writeable = False
    assert bytes(drafted(array.data).pages[PAGE_BYTES : PAGE_BYTES + 1000]) == array.tobytes()


def test_tombstones_and_marks_are_one_page_without_payload() -> None:
    pool = dirty_pool()
    tombstone, mark = draft_tombstone(pool, KEY), draft_mark(pool)
    assert (tombstone.kind, tombstone.key) == (Kind.TOMBSTONE, KEY)
    assert (mark.kind, mark.key) == (Kind.MARK, bytes(32))
    for draft in (tombstone, mark):
        assert (draft.n_pages, draft.stored_bytes, draft.rest) == (1, 0, ())
        assert draft.pages.nbytes == PAGE_BYTES


@pytest.mark.parametrize("n_bytes", [0, 1, 4095, 4096, 9000])
def test_what_is_to_be_sealed_is_not_copied_and_zeros_follow_its_place(n_bytes: int) -> None:
    value = memoryview(block(1, 0, n_bytes))
    draft = draft_unsealed(dirty_pool(), KEY, value, b"c" * 16, Attributes(tenant=b"t" * 16))
    assert draft.unsealed is value
    assert (draft.content, draft.stored_bytes, draft.rest) == (b"c" * 16, n_bytes, ())
    assert draft.pages.nbytes == draft.n_pages * PAGE_BYTES
    assert not any(draft.pages[PAGE_BYTES + n_bytes :])
