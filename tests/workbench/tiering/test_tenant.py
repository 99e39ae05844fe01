"""A tag is the same in every process, another one for another secret, and no part of it."""

from __future__ import annotations

from workbench.tiering.tenant import digest, tenant_tag


def test_tags_are_told_apart_and_stay():
    assert len(tenant_tag(b"")) == 16
    assert tenant_tag(b"one") != tenant_tag(b"two")
    assert tenant_tag(b"one").hex() == "29a7c5062a87dcb7e4e9e064efd60e8f"
    assert b"a long secret" not in tenant_tag(b"a long secret")


def test_fields_cannot_be_moved_into_one_another():
    assert digest(b"org_1", b"2345") != digest(b"org_12345", b"")
    assert digest() != digest(b"")
