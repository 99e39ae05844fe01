"""Test that claims are given back as often as they are taken."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.tiering.tiered_kv_cache.claims import Claims


def test_a_reference_lasts_until_its_last_owner_lets_go():
    claims = Claims(2)
    claims.refer(b"a")
    claims.refer(b"a")
    assert not claims.unrefer(b"a")
    assert claims.is_referred(b"a")
    assert claims.unrefer(b"a")
    assert not claims.is_referred(b"a")
    with pytest.raises(KeyError):
        claims.unrefer(b"a")


def test_pins_and_holds_are_counted_too():
    claims = Claims(3)
    for _ in range(2):
        claims.pin(b"a")
        claims.hold(np.array([0, 2]))
    claims.unpin(b"a")
    claims.unhold(np.array([2]))
    assert claims.is_pinned(b"a")
    assert [claims.is_held(slot) for slot in range(3)] == [True, False, True]
    claims.unpin(b"a")
    claims.unhold(np.array([2]))
    assert not claims.is_pinned(b"a")
    assert not claims.is_held(2)
    claims.check()


def test_what_was_given_back_too_often_is_found():
    claims = Claims(1)
    claims.unhold(np.array([0]))
    with pytest.raises(AssertionError):
        claims.check()
