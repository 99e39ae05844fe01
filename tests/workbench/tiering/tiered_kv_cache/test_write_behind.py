"""Test that blocks are written behind, and that whatever is not is counted and let go."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import BLOCK_BYTES, config, ssd_on
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.eviction import create
from workbench.tiering.tiered_kv_cache.block_key import BlockKeys
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.found import Tier
from workbench.tiering.tiered_kv_cache.slab import HotSlab
from workbench.tiering.tiered_kv_cache.write_behind import WriteBehind
from workbench.tiering.write_policy import WriteThrough

LAYOUT = config().layout


class SlowTier(ColdTier):
    """Writes once it is let."""

    def __init__(self, *given):
        super().__init__(*given)
        self.let = threading.Event()
        self.let.set()
        self.begun = threading.Event()
        self.batches = []

    def put(self, blocks):
        self.begun.set()
        assert self.let.wait(30)
        self.batches.append([key for key, _ in blocks])
        return super().put(blocks)


@contextmanager
def writing(max_waiting=100, capacity=4, n_slots=6):
    with ssd_on(sim_disk()) as (ssd, faults):
        cold = SlowTier(ssd, LAYOUT, BlockKeys(LAYOUT, fingerprint=b"toy").attributes)
        slab = HotSlab(LAYOUT, n_slots * BLOCK_BYTES)
        policy = create("lru", capacity)
        directory = Directory(policy, n_slots, write=WriteThrough(), is_stored=cold.contains)
        changed = threading.Condition(threading.RLock())
        with WriteBehind(directory, slab, cold, changed, max_waiting) as writer:
            yield writer, directory, cold, faults
            cold.let.set()
        directory.check()
        counts = writer.counts
        ended = counts.written + counts.failed + counts.dropped + counts.gone
        assert (ended, writer.n_waiting) == (counts.offered, 0)


def key(number):
    return bytes([number]) * 32


def admit(writer, directory, number):
    with writer._changed:
        slot = directory.reserve()
        writer._slab.memory[slot] = number
        directory.seal(slot, key(number))
        writer.offer(directory.take_writes())


def test_sealed_blocks_are_written_while_they_stay_hot():
    with writing() as (writer, directory, cold, _):
        for number in range(3):
            admit(writer, directory, number)
        assert writer.drain(30)
        assert all(cold.contains(key(number)) for number in range(3))
        assert writer.counts.written == 3
        assert directory.hot_blocks == 3


def test_writes_of_some_blocks_are_awaited():
    with writing() as (writer, directory, cold, _):
        for number in range(3):
            admit(writer, directory, number)
        with writer._changed:
            writer.await_writes([key(1), key(7)], 30)
            assert cold.contains(key(1))


def test_a_queue_that_is_full_drops_what_comes_and_never_blocks():
    with writing(max_waiting=1, capacity=6, n_slots=8) as (writer, directory, cold, _):
        cold.let.clear()
        for number in range(5):
            admit(writer, directory, number)
        assert writer.counts.dropped >= 3
        cold.let.set()
        assert writer.drain(30)
        assert writer.counts.written + writer.counts.dropped == 5
        # What was dropped is hot still, and is offered again when it has to leave.
        assert directory.hot_blocks == 5


def test_a_block_that_left_while_it_waited_is_gone():
    with writing(capacity=2, n_slots=4) as (writer, directory, cold, _):
        cold.let.clear()
        admit(writer, directory, 0)
        # The first one is being written: the others wait behind it.
        assert cold.begun.wait(30)
        for number in range(1, 4):
            admit(writer, directory, number)
        assert directory.leaving_blocks == 2
        with writer._changed:
            for number in (2, 3):
                directory.claims.refer(key(number))
            while directory.give_up():
                pass
        cold.let.set()
        assert writer.drain(30)
        assert writer.counts.gone >= 1
        assert directory.where(key(3)) is Tier.HOT


def test_bytes_that_are_still_coming_are_not_written():
    with writing(capacity=2, n_slots=4) as (writer, directory, cold, _):
        cold.let.clear()
        for number in range(3):
            admit(writer, directory, number)
        with writer._changed:
            # The last one waits behind the first, is given up, and is loaded from elsewhere.
            while directory.give_up():
                pass
            directory._is_stored = lambda key: True
            (found,) = directory.use([key(2)])
            assert found.fill is not None
        cold.let.set()
        assert writer.drain(30)
        assert key(2) not in [one for batch in cold.batches for one in batch]
        assert writer.counts.gone >= 1
        with writer._changed:
            directory.arrived(*found[::2], whole=True)
            directory.unrefer(key(2))


def test_a_write_that_fails_is_counted():
    with writing() as (writer, directory, cold, faults):
        faults.add(Fault("error", "write", nth=1, times=100))
        admit(writer, directory, 1)
        assert writer.drain(30)
        assert writer.counts.failed == 1
        assert not cold.contains(key(1))
        assert directory.where(key(1)) is Tier.HOT


def test_several_blocks_are_written_at_once():
    with writing(capacity=6, n_slots=8) as (writer, directory, cold, _):
        cold.let.clear()
        for number in range(6):
            admit(writer, directory, number)
        cold.let.set()
        assert writer.drain(30)
        assert max(map(len, cold.batches)) > 1
        assert sum(map(len, cold.batches)) == 6


def test_closing_drops_what_waits():
    with writing() as (writer, directory, cold, _):
        cold.let.clear()
        for number in range(3):
            admit(writer, directory, number)
        assert not writer.drain(0.01)
        closing = threading.Thread(target=writer.close)
        closing.start()
        cold.let.set()
        closing.join(30)
        assert writer.counts.written + writer.counts.dropped == 3
        admit(writer, directory, 3)
        assert writer.counts.dropped >= 1
