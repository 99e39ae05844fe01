"""Test that a block on its way out is asked for until it was answered."""

from __future__ import annotations

import pytest

from workbench.tiering.tiered_kv_cache.outbound import Outbound


def test_a_promise_is_handed_on_once_and_lasts_until_it_is_answered():
    outbound = Outbound()
    outbound.promise(b"a")
    assert b"a" not in outbound
    assert outbound.take_writes() == [b"a"]
    assert outbound.take_writes() == []
    assert outbound.is_promised(b"a")
    outbound.answer(b"a")
    outbound.answer(b"a")
    assert not outbound.is_promised(b"a")


def test_a_block_that_leaves_has_its_slot_until_it_has_left():
    outbound = Outbound()
    for slot, key in enumerate((b"b", b"a")):
        outbound.leave(key, slot)
    assert list(outbound.items()) == [(b"b", 0), (b"a", 1)]
    assert (outbound.slot(b"a"), outbound.slot(b"c"), len(outbound)) == (1, None, 2)
    assert outbound.end(b"b") == 0
    assert b"b" not in outbound


def test_those_that_could_not_be_written_are_asked_for_again():
    outbound = Outbound()
    for slot, key in enumerate((b"a", b"b")):
        outbound.leave(key, slot)
        outbound.promise(key)
    outbound.take_writes()
    outbound.answer(b"a")
    outbound.promise_again()
    assert outbound.take_writes() == [b"a"]
    outbound.check()


def test_a_write_that_nobody_promised_is_found():
    outbound = Outbound()
    outbound.promise(b"a")
    outbound.answer(b"a")
    with pytest.raises(AssertionError):
        outbound.check()
