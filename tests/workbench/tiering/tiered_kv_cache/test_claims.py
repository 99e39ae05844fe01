"""Test that claims are given back as often as they are taken."""

from __future__ import annotations

import pytest

from workbench.tiering.tiered_kv_cache.claims import Claims


def test_a_reference_lasts_until_its_last_owner_lets_go():
    claims = Claims()
    claims.refer(b"a")
    claims.refer(b"a")
    assert not claims.unrefer(b"a")
    assert claims.is_referred(b"a")
    assert claims.unrefer(b"a")
    assert not claims.is_referred(b"a")
    with pytest.raises(KeyError):
        claims.unrefer(b"a")


def test_pins_are_counted_apart_from_references():
    claims = Claims()
    claims.pin(b"a")
    claims.pin(b"a")
    claims.unpin(b"a")
    assert claims.is_pinned(b"a")
    assert claims.is_claimed(b"a")
    assert not claims.is_referred(b"a")
    claims.unpin(b"a")
    assert not claims.is_claimed(b"a")
    claims.check()
    with pytest.raises(KeyError):
        claims.unpin(b"a")
