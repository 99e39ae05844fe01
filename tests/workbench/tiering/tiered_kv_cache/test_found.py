"""Test that a tier prints as the word for it."""

from __future__ import annotations

from workbench.tiering.tiered_kv_cache.found import Found, Tier


def test_tiers_have_the_fields_words():
    assert [tier.value for tier in Tier] == ["hot", "cold", "network"]
    assert Found(b"a", Tier("cold"), None).tier is Tier.COLD
