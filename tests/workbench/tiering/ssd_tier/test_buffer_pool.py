"""Lent memory is aligned, nobody else's while it is looked at, and bounded."""

from __future__ import annotations

import itertools
import threading

import pytest

from workbench.tiering.async_io.buffers import address
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.buffer_pool import BufferPool, size_class

MIB = 1 << 20


@pytest.mark.parametrize("n_bytes", [1, 4095, 4096, 4097, 20000, 40000, 300000, 3 * MIB])
def test_a_buffer_is_aligned_writable_and_as_long_as_asked(n_bytes: int) -> None:
    view = BufferPool(8 * MIB).lease(n_bytes)
    assert view.nbytes == n_bytes
    assert address(view) % PAGE_BYTES == 0
    view[:] = b"\x05" * n_bytes


def test_no_two_lent_buffers_share_a_byte() -> None:
    pool = BufferPool(4 * MIB)
    views = [pool.lease(n_bytes) for n_bytes in (100, 5000, 9000, 40000) for _ in range(20)]
    places = sorted((address(view), address(view) + view.nbytes) for view in views)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))


def test_a_buffer_comes_back_when_its_last_view_is_gone() -> None:
    pool = BufferPool(MIB)
    view = pool.lease(5000)
    part = view[100:200]
    size = size_class(5000)
    assert pool.lent_bytes() == size
    del view
    assert pool.lent_bytes() == size, "a part of it is still looked at"
    part[:] = b"\x07" * 100
    others = [pool.lease(5000) for _ in range(30)]
    for other in others:
        other[:] = bytes(5000)
    assert bytes(part) == b"\x07" * 100, "and so it was lent to nobody"
    del part, other, others
    assert pool.lent_bytes() == 0


def test_memory_is_used_again_instead_of_growing() -> None:
    pool = BufferPool(MIB)
    places = set()
    for _ in range(200):
        places.add(address(pool.lease(10000)))
    held = pool.held_bytes
    assert len(places) <= 16
    assert 0 < held <= MIB
    pool.lease(10000)
    assert pool.held_bytes == held


def test_the_limit_holds_and_what_is_needed_beyond_is_still_lent() -> None:
    pool = BufferPool(64 * PAGE_BYTES)
    views = [pool.lease(4 * PAGE_BYTES) for _ in range(40)]
    assert pool.held_bytes <= 64 * PAGE_BYTES
    assert pool.unpooled > 0
    assert len({address(view) for view in views}) == 40
    del views
    assert pool.lent_bytes() == 0


def test_idle_memory_of_one_size_makes_room_for_another() -> None:
    pool = BufferPool(64 * PAGE_BYTES)
    small = [pool.lease(PAGE_BYTES) for _ in range(64)]
    del small
    large = [pool.lease(8 * PAGE_BYTES) for _ in range(8)]
    assert pool.unpooled == 0
    assert pool.held_bytes <= 64 * PAGE_BYTES
    del large


def test_a_pool_of_nothing_lends_fresh_memory() -> None:
    pool = BufferPool(0)
    view = pool.lease(5000)
    assert view.nbytes == 5000
    assert (pool.held_bytes, pool.lent_bytes(), pool.unpooled) == (0, 0, 1)


def test_size_classes_waste_at_most_a_quarter_and_only_grow() -> None:
    previous = 0
    for pages in range(1, 2000):
        size = size_class(pages * PAGE_BYTES)
        assert size % PAGE_BYTES == 0
        assert pages * PAGE_BYTES <= size <= 1.25 * pages * PAGE_BYTES
        assert size >= previous
        assert size_class(size) == size
        previous = size
    assert size_class(0) == size_class(1) == PAGE_BYTES


def test_threads_never_get_the_same_buffer_at_once() -> None:
    pool = BufferPool(MIB)
    torn = []

    def work(mark: int) -> None:
        for _ in range(200):
            view = pool.lease(6000)
            view[:] = bytes([mark]) * 6000
            if bytes(view) != bytes([mark]) * 6000:
                torn.append(mark)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torn
    assert pool.lent_bytes() == 0
