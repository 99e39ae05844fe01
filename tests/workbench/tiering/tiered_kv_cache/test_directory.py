"""Test what a directory decides; a set of keys stands for the SSD tier, as in a simulation."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from workbench.tiering.eviction import create
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.errors import CacheFullError
from workbench.tiering.tiered_kv_cache.found import Found, Tier
from workbench.tiering.write_policy import Selective, WriteBack, WriteThrough


class Simulated:
    """A directory whose writes end at once."""

    def __init__(self, capacity=3, n_slots=5, low=None, write=WriteThrough, policy="lru"):
        self.cold: set[bytes] = set()
        self.directory = Directory(
            create(policy, capacity),
            n_slots,
            low_blocks=low,
            write=write and write(),
            is_stored=self.cold.__contains__,
        )

    def settle(self):
        keys = self.directory.take_writes()
        for key in keys:
            self.cold.add(key)
            self.directory.written(key)
        return keys

    def admit(self, *keys):
        for key in keys:
            self.directory.admit(key)
            self.settle()
        self.directory.check()

    def where(self, keys):
        tiers = [self.directory.where(bytes([key])) for key in keys]
        return "".join(tier.value[0] if tier else "-" for tier in tiers)


def test_what_has_to_leave_is_cold_and_comes_back():
    cache = Simulated()
    cache.admit(b"a", b"b", b"c", b"d")
    assert cache.where(b"abcde") == "chhh-"
    (found,) = cache.directory.look_up([b"a"])
    assert (found.tier, found.fill is not None) == (Tier.COLD, True)
    cache.directory.arrived(b"a", found.fill, whole=True)
    assert cache.where(b"abcd") == "hchh"
    cache.directory.check()


def test_a_lookup_ends_at_the_first_gap():
    cache = Simulated()
    cache.admit(b"a", b"c")
    assert cache.directory.match([b"a", b"b", b"c"]) == [Tier.HOT]
    assert cache.directory.look_up([b"a", b"b", b"c"]) == [Found(b"a", Tier.HOT, None)]
    assert cache.directory.look_up([b"b"]) == []


def test_a_lookup_uses_the_deepest_block_first():
    cache = Simulated()
    cache.admit(b"a", b"b", b"c")
    for key in cache.directory.look_up([b"a", b"b", b"c"]):
        cache.directory.unrefer(key.key)
    cache.admit(b"d")
    assert cache.where(b"abc") == "hhc"


def test_a_lookup_takes_no_room_from_what_open_sequences_are_made_of():
    cache = Simulated()
    cache.admit(b"a", b"b", b"c", b"d")
    held = cache.directory.look_up([b"b", b"c", b"d"])
    assert [one.tier for one in held] == [Tier.HOT] * 3
    assert cache.directory.look_up([b"a"]) == [Found(b"a", Tier.COLD, None)]
    # A block that is being made does.
    cache.admit(b"e")
    assert cache.where(b"abcde").count("h") == 3
    assert cache.where(b"e") == "h"


@pytest.mark.parametrize(
    ("write", "uses", "want"),
    [(WriteThrough, 1, "c"), (WriteBack, 1, "c"), (Selective, 1, "-"), (Selective, 2, "c")],
)
def test_the_write_policy_decides_what_is_kept(write, uses, want):
    cache = Simulated(write=write)
    cache.admit(b"a")
    for _ in range(uses - 1):
        cache.directory.access(b"a")
    cache.admit(b"b", b"c", b"d")
    assert cache.where(b"a") == want
    assert cache.directory.counts.forgotten == (want == "-")


def test_what_an_open_sequence_is_made_of_is_written_whatever_the_policy_says():
    cache = Simulated(write=Selective)
    cache.directory.claims.refer(b"a")
    cache.admit(b"a", b"b", b"c")
    cache.directory.claims.refer(b"b")
    cache.directory.claims.refer(b"c")
    cache.admit(b"d", b"e")
    assert cache.where(b"a") == "c"
    assert cache.where(b"bc") in ("cc", "hc", "ch", "hh")


def test_without_an_ssd_tier_open_sequences_are_never_taken_from():
    cache = Simulated(write=None)
    cache.admit(b"a", b"b", b"c")
    for key in (b"a", b"b", b"c"):
        cache.directory.claims.refer(key)
    with pytest.raises(CacheFullError, match=r"all 3 blocks .* no SSD tier"):
        cache.directory.reserve()
    cache.directory.unrefer(b"b")
    cache.admit(b"d")
    assert cache.where(b"abcd") == "h-hh"


def test_pinned_blocks_stay_hot():
    cache = Simulated()
    cache.admit(b"a", b"b", b"c")
    cache.directory.claims.pin(b"a")
    cache.admit(b"d")
    assert cache.where(b"abcd") == "hchh"
    for key in (b"c", b"d"):
        cache.directory.claims.pin(key)
    with pytest.raises(CacheFullError, match="pinned"):
        cache.directory.reserve()
    cache.directory.claims.unpin(b"a")
    cache.admit(b"e")
    assert cache.where(b"acde") == "chhh"


def test_a_block_that_is_read_may_leave_but_its_slot_stays():
    cache = Simulated(capacity=2, n_slots=3)
    cache.admit(b"a", b"b")
    slot = cache.directory.slot(b"a")
    cache.directory.slots.hold(slot)
    cache.admit(b"c")
    assert cache.where(b"abc") == "chh"
    cache.admit(b"d")
    assert cache.directory.slot(b"d") != slot
    assert len(cache.directory.slots) == 0
    cache.directory.slots.unhold(slot)
    assert cache.directory.slots.take() == slot


def test_demotion_goes_on_down_to_the_low_watermark():
    cache = Simulated(capacity=8, n_slots=10, low=3)
    cache.admit(*(bytes([n]) for n in range(8)))
    assert cache.directory.hot_blocks == 8
    cache.admit(b"x")
    assert cache.directory.hot_blocks == 4
    assert cache.directory.counts.evictions == 5


def test_a_slot_is_free_once_its_bytes_are_written():
    directory = Simulated(capacity=2, n_slots=3, write=WriteBack).directory
    directory.admit(b"a")
    directory.admit(b"b")
    directory.admit(b"c")
    assert directory.where(b"a") is Tier.COLD
    assert (directory.leaving_blocks, len(directory.slots)) == (1, 0)
    assert directory.reserve() is None
    assert directory.leaving_blocks == 2
    assert directory.take_writes() == [b"a", b"b"]
    directory.written(b"a")
    slot = directory.reserve()
    assert slot is not None
    directory.give_back(slot)
    directory.check()


def test_a_block_on_its_way_out_is_taken_back():
    directory = Simulated(capacity=2, n_slots=4, write=WriteBack).directory
    for key in (b"a", b"b", b"c"):
        directory.admit(key)
    slot = directory.slot(b"a")
    assert directory.take_writes() == [b"a"]
    assert directory.access(b"a") == Found(b"a", Tier.COLD, None)
    assert (directory.where(b"a"), directory.slot(b"a")) == (Tier.HOT, slot)
    directory.written(b"a")
    directory.check()


def test_a_sealed_block_that_is_leaving_or_here_is_kept_once():
    directory = Simulated(capacity=2, n_slots=5, write=WriteBack).directory
    for key in (b"a", b"b", b"c"):
        directory.admit(key)
    slot = directory.slot(b"a")
    directory.admit(b"a")
    assert directory.slot(b"a") == slot
    directory.admit(b"a")
    assert directory.counts.duplicates == 2
    directory.check()


def test_a_write_that_failed_forgets_a_leaving_block_and_keeps_a_hot_one():
    directory = Simulated(capacity=2, n_slots=4, write=WriteThrough).directory
    for key in (b"a", b"b", b"c"):
        directory.admit(key)
    assert directory.take_writes() == [b"a", b"b", b"c"]
    directory.unwritten(b"a")
    directory.unwritten(b"b")
    assert (directory.where(b"a"), directory.where(b"b")) == (None, Tier.HOT)
    assert directory.counts.forgotten == 1
    directory.check()


def test_a_leaving_block_of_an_open_sequence_keeps_its_slot_until_it_is_written():
    directory = Simulated(capacity=2, n_slots=3, write=WriteThrough).directory
    directory.claims.refer(b"a")
    for key in (b"a", b"b"):
        directory.admit(key)
    for key in (b"b", b"c"):
        directory.claims.refer(key)
    directory.admit(b"c")
    directory.unwritten(b"a")
    directory.take_writes()
    assert directory.slot(b"a") is not None
    assert not directory.give_up()
    assert directory.reserve() is None
    assert b"a" in directory.take_writes()
    directory.unwritten(b"a")
    directory.unrefer(b"a")
    assert directory.where(b"a") is None
    directory.check()


def test_a_block_that_nobody_waits_for_can_be_given_up():
    directory = Simulated(capacity=2, n_slots=3, write=WriteBack).directory
    for key in (b"a", b"b", b"c"):
        directory.admit(key)
    directory.claims.refer(b"b")
    held = np.array([directory.slot(b"a")])
    directory.slots.hold(held)
    # The leaving one is being written: the only hot one that is nobody's has to go instead.
    assert directory.give_up()
    assert (directory.where(b"a"), directory.where(b"c")) == (Tier.COLD, None)
    assert not directory.give_up()
    directory.slots.unhold(held)
    assert directory.give_up()
    assert directory.where(b"a") is None
    directory.check()


def test_bytes_that_never_came_leave_no_block():
    cache = Simulated()
    cache.admit(b"a", b"b", b"c", b"d")
    (found,) = cache.directory.look_up([b"a"])
    cache.directory.slots.hold(found.fill)
    cache.directory.arrived(b"a", found.fill, whole=False)
    assert cache.where(b"a") == "c"
    assert len(cache.directory.slots) == 2
    cache.directory.slots.unhold(found.fill)
    assert len(cache.directory.slots) == 3
    cache.directory.check()


def test_a_slot_that_is_being_read_into_is_nobody_elses():
    cache = Simulated(capacity=2, n_slots=4)
    cache.admit(b"a", b"b", b"c")
    (found,) = cache.directory.look_up([b"a"])
    cache.directory.claims.refer(b"c")
    cache.admit(b"d")
    assert cache.where(b"acd") == "hch"
    cache.directory.arrived(b"a", found.fill, whole=True)
    cache.directory.unrefer(b"a")
    cache.admit(b"e")
    assert cache.where(b"ade") == "chh"


def test_bytes_that_are_here_beat_those_that_are_coming():
    cache = Simulated()
    cache.admit(b"a", b"b", b"c", b"d")
    (found,) = cache.directory.look_up([b"a"])
    cache.admit(b"a")
    assert cache.directory.slot(b"a") != found.fill
    n_free = len(cache.directory.slots)
    cache.directory.arrived(b"a", found.fill, whole=False)
    assert len(cache.directory.slots) == n_free + 1
    assert cache.where(b"a") == "h"
    cache.directory.check()


def test_a_simulation_and_a_second_one_decide_alike():
    rng = np.random.default_rng(0)
    requests = [[bytes([x]) for x in rng.integers(0, 40, 6)] for _ in range(300)]
    for policy in ("lru", "s3_fifo", "arc"):
        outcomes = []
        for _ in range(2):
            cache = Simulated(10, 12, low=8, write=WriteBack, policy=policy)
            found = []
            for keys in requests:
                hits = cache.directory.look_up(keys)
                found.append([one.tier for one in hits])
                for one in hits:
                    if one.fill is not None:
                        cache.directory.arrived(one.key, one.fill, whole=True)
                cache.settle()
                cache.admit(*keys[len(hits) :])
                for one in hits:
                    cache.directory.unrefer(one.key)
            outcomes.append(found)
        assert outcomes[0] == outcomes[1]
        assert sum(map(len, outcomes[0])) > 0


def test_a_block_takes_little_memory():
    n_blocks = 20_000
    tracemalloc.start()
    cache = Simulated(n_blocks, n_blocks, write=None)
    for n in range(n_blocks):
        cache.directory.admit(n.to_bytes(32, "little"))
    taken = tracemalloc.get_traced_memory()[0] / n_blocks
    tracemalloc.stop()
    # The key itself takes 65 bytes.
    assert taken < 400
