"""Room is made without losing what is wanted, without growing, and without a lie when it fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.torture.model import key_of
from tests.torture.stores import SMALL, TIGHT
from tests.workbench.tiering.ssd_tier.faulty_store import FaultyStore, block, open_faulty
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.ssd_tier.frame import frame_pages
from workbench.tiering.ssd_tier.reinsertion.keep_none import KeepNone
from workbench.tiering.ssd_tier.rooms import make_index_room, open_next, reclaim
from workbench.tiering.ssd_tier.segments import State

PAGES = frame_pages(5000)


def opened_next(store: FaultyStore) -> bool:
    return open_next(store.core, store.core.deadline(1))


def reclaimed(store: FaultyStore, evict: bool = False) -> bool:
    return reclaim(store.core, store.core.deadline(1), evict)


def fill(store: FaultyStore, n_blocks: int, first: int = 0) -> None:
    """Put blocks that nobody has read, each of three pages, four to a segment."""
    for number in range(first, first + n_blocks):
        assert store.tier.put(key_of(number), block(number)), number


def missing(store: FaultyStore, n_blocks: int) -> set[int]:
    """Return which of the first blocks are gone; the others must be right."""
    gone = set()
    for number in range(n_blocks):
        value = store.tier.get(key_of(number))
        assert value in (None, block(number))
        if value is None:
            gone.add(number)
    return gone


def on_disk(store: FaultyStore) -> int:
    return sum(store.disk.size(name) for name in store.disk.names())


def test_the_next_segment_is_open_and_the_last_one_takes_no_more() -> None:
    store = open_faulty()
    assert opened_next(store)
    first = store.core.table.open
    assert first is not None
    assert opened_next(store)
    assert store.core.table.open is not first
    assert first.state == State.SEALED


def test_one_segment_is_always_kept_free_to_move_blocks_to() -> None:
    store = open_faulty(TIGHT)
    for number in range(40):
        fill(store, 1, first=number)
        assert store.core.table.free()


def test_without_time_nothing_is_begun() -> None:
    store = open_faulty()
    writes = store.faults.calls["write"]
    assert not open_next(store.core, store.core.deadline(0.05 * SMALL.write_deadline_s))
    assert store.faults.calls["write"] == writes
    assert store.tier.stats().segments_bad == 0


def test_bytes_on_disk_never_grow_beyond_the_capacity() -> None:
    store = open_faulty(TIGHT)
    for number in range(60):
        fill(store, 1, first=number)
        assert on_disk(store) == store.tier.stats().disk_bytes <= TIGHT.capacity_bytes
    counts = store.counts
    assert counts.puts_written - counts.blocks_evicted == store.tier.stats().blocks
    assert counts.segments_reclaimed > 5
    assert store.tier.check().sound


def test_the_oldest_blocks_go_first_and_the_newest_stay() -> None:
    store = open_faulty(replace(TIGHT, reinsertion=KeepNone))
    fill(store, 40)
    gone = missing(store, 40)
    assert gone == set(range(len(gone))), "first in, first out"
    assert 0 < len(gone) < 40


def test_blocks_that_were_read_outlive_their_segment_and_survive_a_power_loss() -> None:
    store = open_faulty()
    fill(store, 3)
    assert store.tier.get(key_of(1)) == block(1)
    place = store.entry(1)
    # Everything in the segment is unread but for one block, and none of it is overwritten.
    fill(store, 30, first=3)
    moved = store.entry(1)
    assert moved.sequence > place.sequence
    assert not store.tier.contains(key_of(0))
    assert not store.tier.contains(key_of(2))
    assert store.counts.blocks_reinserted >= 1
    assert store.counts.blocks_evicted_unread == store.counts.blocks_evicted
    for tier in (store.tier, store.killed(), *store.after_power_loss(10)):
        assert tier.get(key_of(1)) == block(1)


def test_a_sparse_segment_goes_first_and_loses_nothing() -> None:
    store = open_faulty(replace(SMALL, reinsertion=KeepNone))
    fill(store, 8)
    for number in (4, 5):
        assert store.tier.delete(key_of(number))
    assert opened_next(store)
    assert reclaimed(store)
    assert missing(store, 8) == {4, 5}
    assert store.counts.blocks_evicted == 0
    assert store.counts.blocks_reinserted == 2
    for tier in (store.killed(), *store.after_power_loss(5)):
        found = {n for n in range(8) if tier.get(key_of(n)) == block(n)}
        assert found == {0, 1, 2, 3, 6, 7}


@pytest.mark.parametrize("op", ["write", "sync"])
def test_a_failure_while_a_sparse_segment_is_emptied_loses_nothing(op: str) -> None:
    """Two segments hold two blocks each; the others are filled by overwriting three blocks."""
    nth = 0
    while True:
        nth += 1
        store = open_faulty(
            replace(TIGHT, capacity_bytes=5 * TIGHT.segment_bytes, reinsertion=KeepNone)
        )
        fill(store, 8)
        for number in (0, 1, 4, 5):
            assert store.tier.delete(key_of(number))
        assert store.tier.flush()
        store.fail(Fault("error", op, nth=nth))  # type: ignore[arg-type]
        stored = [store.tier.put(key_of(10 + n % 3), block(10 + n % 3, n)) for n in range(24)]
        assert store.counts.blocks_reinserted > 0
        if not store.faults.injected:
            break
        assert stored.count(False) <= 1
        assert store.counts.blocks_evicted == 0, nth
        assert missing(store, 8) == {0, 1, 4, 5}, nth
        assert store.tier.check().sound
        again = store.killed()
        assert all(again.get(key_of(number)) == block(number) for number in (2, 3, 6, 7))
    assert nth > 10


def test_evicting_moves_nothing() -> None:
    store = open_faulty()
    fill(store, 8)
    missing(store, 8)  # all are read now, so that a policy would keep them
    assert opened_next(store)
    assert reclaimed(store, evict=True)
    assert missing(store, 8) == {0, 1, 2, 3}
    assert (store.counts.blocks_reinserted, store.counts.blocks_evicted) == (0, 4)
    assert store.counts.blocks_evicted_unread == 0


def test_with_nothing_sealed_there_is_nothing_to_reclaim() -> None:
    store = open_faulty()
    assert not reclaimed(store)
    assert not reclaimed(store, evict=True)
    assert store.counts.segments_reclaimed == 0


def test_the_index_is_bounded_and_makes_room_by_eviction() -> None:
    store = open_faulty(replace(SMALL, max_blocks=6))
    for number in range(40):
        assert store.tier.put(key_of(number), b"small")
        assert len(store.core.index) <= 6
    assert store.tier.get(key_of(39)) == b"small"
    assert store.counts.blocks_evicted == 40 - len(store.core.index)
    assert store.tier.check().sound


def test_overwriting_needs_no_room_in_a_full_index() -> None:
    store = open_faulty(replace(SMALL, max_blocks=4))
    fill(store, 4)
    assert store.tier.put(key_of(2), b"new")
    assert missing(store, 2) == set()
    assert store.counts.blocks_evicted == 0


def test_room_in_the_index_is_told() -> None:
    store = open_faulty(replace(SMALL, max_blocks=4))
    assert make_index_room(store.core, store.core.deadline(1))
    fill(store, 4)
    assert make_index_room(store.core, store.core.deadline(1))
    assert len(store.core.index) < 4


def test_a_block_that_cannot_be_read_while_it_is_moved_is_given_up_alone() -> None:
    store = open_faulty()
    fill(store, 4)
    assert missing(store, 4) == set()
    assert opened_next(store)
    store.fail(Fault("error", "read", nth=1))
    assert reclaimed(store)
    gone = missing(store, 4)
    # Half a segment may be moved: two blocks, one of which could not be read.
    assert len(gone) == 3
    assert store.counts.blocks_reinserted == 1


def test_damage_is_not_carried_on_by_moving() -> None:
    store = open_faulty()
    fill(store, 1)
    assert missing(store, 1) == set()
    name, offset = store.place(0)
    store.disk.rot(name, offset + 4096, b"\0\0\0\0")
    assert opened_next(store)
    assert reclaimed(store)
    assert missing(store, 1) == {0}
    assert store.counts.blocks_reinserted == 0


def test_moved_blocks_whose_sync_failed_are_never_a_lie() -> None:
    """Fail each sync of one reclaim: afterwards every block is right or gone, also on disk."""
    nth = 0
    while True:
        nth += 1
        store = open_faulty()
        fill(store, 8)
        missing(store, 8)
        assert opened_next(store)
        assert store.tier.flush()
        store.fail(Fault("error", "sync", nth=nth))
        is_free = reclaimed(store)
        if not store.faults.injected:
            break
        assert store.counts.sync_errors == 1
        live = set(range(8)) - missing(store, 8)
        if not is_free:
            assert store.counts.segments_reclaimed == 0
        for tier in (store.killed(), *store.after_power_loss(4, seed=nth)):
            values = {n: tier.get(key_of(n)) for n in range(8)}
            assert all(value in (None, block(n)) for n, value in values.items())
            assert tier.check().sound
        assert live, "one failed sync does not empty the store"
    assert nth > 2


@pytest.mark.parametrize("op", ["read", "write", "sync"])
def test_a_full_store_serves_right_bytes_wherever_one_call_fails(op: str) -> None:
    nth, step = 0, 3
    while True:
        nth += step
        store = open_faulty(TIGHT)
        store.fail(Fault("error", op, nth=nth))  # type: ignore[arg-type]
        for number in range(24):
            store.tier.put(key_of(number), block(number))
            if number % 3 == 0:
                missing(store, number + 1)
        missing(store, 24)
        assert on_disk(store) <= TIGHT.capacity_bytes
        if not store.faults.injected:
            break
        assert store.tier.check().sound
    assert nth > step
