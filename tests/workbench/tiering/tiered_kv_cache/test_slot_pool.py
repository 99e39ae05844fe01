"""Test that a slot in use is not handed out, and none is lost."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.tiering.tiered_kv_cache.slot_pool import SlotPool


def test_every_slot_is_handed_out_once():
    pool = SlotPool(3)
    assert [pool.take() for _ in range(4)] == [0, 1, 2, None]
    pool.check([0, 1, 2])
    pool.let_go(1)
    assert len(pool) == 1
    assert pool.take() == 1


def test_a_held_slot_is_free_once_the_last_one_lets_go():
    pool = SlotPool(3)
    slots = np.array([pool.take(), pool.take()])
    pool.hold(slots)
    pool.hold(slots[:1])
    for slot in slots.tolist():
        pool.let_go(slot)
    assert len(pool) == 1
    pool.unhold(slots)
    assert [pool.is_held(slot) for slot in range(3)] == [True, False, False]
    assert len(pool) == 2
    pool.check([])
    pool.unhold(slots[:1])
    assert len(pool) == 3
    pool.check([])


def test_a_slot_is_kept_while_the_device_may_write_to_it():
    memory = np.zeros((2, 8), np.uint8)
    pool = SlotPool(2)
    slot = pool.take()
    view = memory[slot]
    held_by_an_engine = view.data[2:5]
    pool.hold_while_alive(slot, view)
    pool.let_go(slot)
    del view
    assert len(pool) == 1
    pool.check([])
    del held_by_an_engine
    assert len(pool) == 2
    assert {pool.take(), pool.take()} == {0, 1}


def test_a_slot_that_is_lost_or_given_back_twice_is_found():
    pool = SlotPool(2)
    pool.take()
    with pytest.raises(AssertionError, match="lost"):
        pool.check([])
    pool.let_go(0)
    pool.let_go(0)
    with pytest.raises(AssertionError, match="lost, or in two"):
        pool.check([])


def test_a_hold_given_back_too_often_is_found():
    pool = SlotPool(1)
    pool.unhold(np.array([0]))
    with pytest.raises(AssertionError):
        pool.check([])


def test_withdrawn_slots_come_back_with_a_larger_limit_only():
    told = []
    pool = SlotPool(6, told.append)
    used = [pool.take() for _ in range(3)]
    pool.limit(2)
    assert told == [5, 4, 3]
    assert pool.n_granted == 3
    pool.hold(used[0])
    pool.let_go(used[0])
    pool.let_go(used[1])
    assert told == [5, 4, 3, 1]
    assert (pool.n_granted, len(pool)) == (2, 0)
    pool.check([2])
    pool.unhold(used[0])
    assert pool.take() == 0
    pool.limit(4)
    assert (pool.n_granted, len(pool)) == (4, 2)
    pool.limit(6)
    pool.check([0, 2])
    assert len(told) == 4


def test_a_slot_that_is_needed_meanwhile_is_not_withdrawn():
    pool = SlotPool(3)
    used = [pool.take() for _ in range(3)]
    pool.limit(1)
    assert pool.n_granted == 3
    pool.limit(3)
    for slot in used:
        pool.let_go(slot)
    assert (pool.n_granted, len(pool)) == (3, 3)
