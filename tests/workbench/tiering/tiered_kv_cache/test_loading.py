"""Test that blocks are read layer by layer, and that those that do not come leave again."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from tests.workbench.tiering.async_io.rings import wait_for
from tests.workbench.tiering.tiered_kv_cache.caches import BLOCK_BYTES, config
from workbench.tiering.eviction import create
from workbench.tiering.tiered_kv_cache import loading
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.found import Tier
from workbench.tiering.tiered_kv_cache.loading import Fill, Loader, LoadJob
from workbench.tiering.tiered_kv_cache.slab import HotSlab
from workbench.tiering.write_policy import WriteThrough

LAYOUT = config().layout


class Stepwise:
    """A cold tier with everything in it, which reads one frame of all blocks whenever it is let."""

    def __init__(self):
        self.missing = set()
        self.reads = []
        self.kept = []
        self.steps = threading.Semaphore(0)

    def get(self, frames, on_hits=None):
        here = []
        for number in sorted({one.frame for one in frames}):
            assert self.steps.acquire(timeout=30)
            row = [one for one in frames if one.frame == number]
            self.reads.append([(one.key[0], one.frame) for one in row])
            here += [self._read(one) for one in row]
            if on_hits is not None and all(here):
                on_hits(len(here), memoryview(b""))
        return here

    def _read(self, one):
        name = (one.key[0], one.frame)
        one.view[:] = one.key[0]
        if name in self.missing:
            # As an engine does whose read missed its deadline.
            self.kept.append(one.view.data[:100])
        return name not in self.missing


class Bench:
    def __init__(self, cold):
        self.cold = cold
        self.slab = HotSlab(LAYOUT, 8 * BLOCK_BYTES)
        policy = create("lru", 7)
        self.directory = Directory(policy, 8, write=WriteThrough(), is_stored=lambda key: True)
        self.changed = threading.Condition(threading.RLock())
        self.loader = Loader(self.directory, self.slab, cold, self.changed)

    def start(self, *numbers, end=None):
        with self.changed:
            found = self.directory.use([key(number) for number in numbers])
            job = LoadJob([Fill(one.key, one.fill) for one in found], end)
            self.loader.start(job)
        return job

    def coming(self, frame, *numbers):
        with self.changed:
            return [number for number in numbers if self.loader.is_coming(key(number), frame)]

    def wait_for(self, frame, *numbers, timeout_s=30.0):
        with self.changed:
            self.loader.wait_for([key(number) for number in numbers], frame, timeout_s)


@contextmanager
def bench(cold=None):
    cold = cold or Stepwise()
    one = Bench(cold)
    try:
        yield one
    finally:
        cold.steps.release(100)
        one.loader.close()
        one.directory.check()


def key(number):
    return bytes([number]) * 32


def test_the_first_frames_of_all_blocks_come_first():
    with bench() as one:
        one.start(1, 2, 3)
        assert one.loader.is_busy
        assert one.coming(0, 1, 2, 3) == [1, 2, 3]
        one.cold.steps.release()
        one.wait_for(0, 1, 2, 3)
        assert one.coming(1, 1, 2, 3) == [1, 2, 3]
        one.cold.steps.release()
        one.wait_for(1, 1, 2, 3)
        assert one.coming(2, 1, 2, 3) == [1, 2, 3]
        one.cold.steps.release()
        one.wait_for(2, 1, 2, 3)
        assert not one.loader.is_busy
        assert one.cold.reads == [[(block, frame) for block in (1, 2, 3)] for frame in range(3)]
        for number in (1, 2, 3):
            assert one.directory.where(key(number)) is Tier.HOT
            assert (one.slab.memory[one.directory.slot(key(number))] == number).all()


@pytest.mark.parametrize("frame", [0, 1, 2])
def test_behind_a_block_that_fails_nothing_more_is_read_by_the_next_call(frame, monkeypatch):
    monkeypatch.setattr(loading, "_CALL_BYTES", 1)
    with bench() as one:
        one.cold.missing = {(2, frame)}
        one.cold.steps.release(10)
        one.start(1, 2, 3)
        one.wait_for(2, 1, 2, 3)
        tiers = [one.directory.where(key(number)) for number in (1, 2, 3)]
        assert tiers == [Tier.HOT, Tier.COLD, Tier.COLD]
        assert one.directory.hot_blocks == 1
        read_later = [name for batch in one.cold.reads[frame + 1 :] for name in batch]
        assert all(number == 1 for number, _ in read_later)


def test_what_is_late_leaves_again():
    with bench() as one:
        one.start(1, 2, end=time.monotonic() - 1)
        one.wait_for(0, 1, 2)
        assert one.directory.hot_blocks == 0
        assert one.cold.reads == []


def test_a_job_that_is_not_wanted_any_more_stops_at_the_next_call(monkeypatch):
    monkeypatch.setattr(loading, "_CALL_BYTES", 1)
    with bench() as one:
        job = one.start(1, 2)
        one.cold.steps.release()
        one.wait_for(0, 1, 2)
        job.cancelled = True
        one.cold.steps.release(10)
        one.wait_for(2, 1, 2)
        assert len(one.cold.reads) <= 2


def test_jobs_are_read_in_turn_and_waiting_has_an_end():
    with bench() as one:
        one.start(1)
        one.start(2)
        one.wait_for(0, 2, timeout_s=0.01)
        assert one.coming(0, 1, 2) == [1, 2]
        one.cold.steps.release(10)
        one.wait_for(2, 1, 2)
        assert [batch[0][0] for batch in one.cold.reads] == [1, 1, 1, 2, 2, 2]


def test_who_waits_for_one_block_waits_for_another_that_is_loaded_meanwhile():
    with bench() as one:
        one.start(1)
        waiter = threading.Thread(target=one.wait_for, args=(0, 2, 1))
        waiter.start()
        one.start(2)
        one.cold.steps.release(3)
        one.wait_for(2, 1)
        waiter.join(0.05)
        assert waiter.is_alive()
        assert one.coming(0, 2) == [2]
        one.cold.steps.release(1)
        waiter.join(30)
        assert not waiter.is_alive()


def test_a_slot_is_held_while_it_is_read_into():
    with bench() as one:
        one.start(1, 2)
        slots = [one.directory.slot(key(number)) for number in (1, 2)]
        assert all(one.directory.slots.is_held(slot) for slot in slots)
        one.cold.steps.release(10)
        one.wait_for(2, 1, 2)
        one.loader.close()
        assert not any(one.directory.slots.is_held(slot) for slot in slots)


@pytest.mark.parametrize("frame", [0, 1, 2])
def test_a_slot_that_a_late_read_may_write_to_is_given_to_nobody(frame):
    with bench() as one:
        one.cold.missing = {(2, frame)}
        one.start(1, 2, 3)
        slot = one.directory.slot(key(2))
        one.cold.steps.release(10)
        one.wait_for(2, 1, 2, 3)
        with one.changed:
            n_free = len(one.directory.slots)
            assert one.directory.slots.is_held(slot)
            one.cold.kept.clear()
            assert len(one.directory.slots) == n_free + 1
            assert not one.directory.slots.is_held(slot)


def test_a_block_that_fails_in_a_call_is_told_by_nobody_to_be_here():
    with bench() as one:
        one.cold.missing = {(2, 1)}
        one.start(1, 2, 3)
        one.cold.steps.release(1)
        one.wait_for(0, 1, 2, 3)
        one.cold.steps.release(1)
        wait_for(lambda: len(one.cold.reads) == 2)
        assert one.coming(1, 1, 2, 3) == [1, 2, 3]
        one.cold.steps.release(1)
        one.wait_for(2, 1, 2, 3)
        tiers = [one.directory.where(key(number)) for number in (1, 2, 3)]
        assert tiers == [Tier.HOT, Tier.COLD, Tier.COLD]


class TwoCalls(Stepwise):
    """Reads all at once but waits in the call for the first frame of block 1."""

    def __init__(self):
        super().__init__()
        self.steps.release(100)
        self.lead = threading.Event()

    def get(self, frames, on_hits=None):
        if (frames[0].key, frames[0].frame) == (key(1), 0):
            assert self.lead.wait(30)
        return super().get(frames, on_hits)


@pytest.fixture
def two_calls(monkeypatch):
    """Of four blocks the first two frames are read by a call of their own."""
    monkeypatch.setattr(loading, "_LEAD_BYTES", 2 * BLOCK_BYTES // 3)
    return TwoCalls()


def test_nothing_is_told_to_be_here_before_the_first_frames_are(two_calls):
    with bench(two_calls) as one:
        one.start(1, 2, 3, 4)
        wait_for(lambda: sum(map(len, one.cold.reads)) == 10)
        assert one.coming(0, 1, 2, 3, 4) == [1, 2, 3, 4]
        one.cold.lead.set()
        one.wait_for(2, 1, 2, 3, 4)
        assert one.cold.reads[-1] == [(1, 0), (2, 0)]
        for number in (1, 2, 3, 4):
            assert one.directory.where(key(number)) is Tier.HOT
            assert (one.slab.memory[one.directory.slot(key(number))] == number).all()


@pytest.mark.parametrize("missing", [(2, 0), (4, 0), (3, 1)])
def test_a_frame_of_either_call_that_fails_shortens_the_prefix(two_calls, missing):
    two_calls.missing = {missing}
    two_calls.lead.set()
    with bench(two_calls) as one:
        one.start(1, 2, 3, 4)
        slot = one.directory.slot(key(missing[0]))
        one.wait_for(2, 1, 2, 3, 4)
        hot = [n for n in (1, 2, 3, 4) if one.directory.where(key(n)) is Tier.HOT]
        assert hot == list(range(1, missing[0]))
        assert one.directory.slots.is_held(slot), "a late read may still write there"
        two_calls.kept.clear()


def test_a_load_of_a_few_frames_is_one_call(monkeypatch):
    monkeypatch.setattr(loading, "_LEAD_BYTES", 2 * BLOCK_BYTES // 3)
    monkeypatch.setattr(loading, "_LEADS", 7)
    with bench(TwoCalls()) as one:
        one.cold.lead.set()
        one.start(1, 2, 3, 4)
        one.wait_for(2, 1, 2, 3, 4)
        assert one.cold.reads == [[(block, n) for block in (1, 2, 3, 4)] for n in range(3)]


def test_frames_are_read_in_groups_of_a_size():
    assert [list(group) for group in loading._groups(5, 2)] == [[0, 1], [2, 3], [4]]
    assert [list(group) for group in loading._groups(5, 99)] == [[0, 1, 2, 3, 4]]
    assert [list(group) for group in loading._groups(1, 1)] == [[0]]
