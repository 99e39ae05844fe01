"""The key of a block depends on its tenant, store, segment, epoch and salt, and on nothing else."""

from tests.workbench.tiering.encryption.sealed_stores import header_of
from workbench.tiering.encryption import sub_keys
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.encryption.sub_keys import SubKeys, sub_key

TENANT_KEY, SALT = Secret(b"t" * 32), b"s" * 32


def test_every_part_counts_and_no_other():
    header = header_of()
    same = header._replace(page=9, sequence=9, key=bytes(32), codec=1)
    others = [
        (Secret(b"u" * 32), header, SALT),
        (TENANT_KEY, header._replace(store=bytes(16)), SALT),
        (TENANT_KEY, header._replace(tenant=bytes(16)), SALT),
        (TENANT_KEY, header._replace(segment=9), SALT),
        (TENANT_KEY, header._replace(epoch=9), SALT),
        (TENANT_KEY, header, b"r" * 32),
    ]
    base = sub_key(TENANT_KEY, header, SALT).reveal()
    assert sub_key(TENANT_KEY, same, SALT).reveal() == base
    assert len({base, *(sub_key(*one).reveal() for one in others)}) == 7


def test_keys_are_kept_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(sub_keys, "_MAX_KEPT", 4)
    kept = SubKeys()
    first = kept.get(TENANT_KEY, header_of(), SALT)
    assert kept.get(TENANT_KEY, header_of(), SALT) is first
    for epoch in range(10):
        found = kept.get(TENANT_KEY, header_of(epoch=epoch), SALT)
        expected = sub_key(TENANT_KEY, header_of(epoch=epoch), SALT)
        assert found.reveal() == expected.reveal()
        assert len(kept._kept) <= 4
    kept.clear()
    assert kept.get(TENANT_KEY, header_of(), SALT) is not first
