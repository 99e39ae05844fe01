"""Derived secrets are HKDF's, and differ if anything in their purpose differs."""

import hmac

from workbench.tiering.encryption.derivation import derive, framed
from workbench.tiering.encryption.secret import Secret

SECRET = Secret(bytes(range(32)))


def test_it_is_hkdf_sha256_of_the_framed_purpose():
    salt, info = b"s" * 32, framed(b"workbench", b"for a test", b"")
    extracted = hmac.digest(salt, SECRET.reveal(), "sha256")
    expected = hmac.digest(extracted, info + b"\x01", "sha256")
    assert derive(SECRET, salt, b"for a test", b"").reveal() == expected


def test_framed_fields_cannot_be_mistaken_for_others():
    lists = [(b"org_1", b"2345"), (b"org_12345", b""), (b"org_12345",), (b"", b"org_12345"), ()]
    assert len({framed(*fields) for fields in lists}) == len(lists)
    assert framed(b"ab") == b"\x02\0\0\0\0\0\0\0ab"


def test_every_part_counts():
    base = (SECRET, b"salt", b"a", b"b")
    others = [
        (Secret(b"x" * 32), b"salt", b"a", b"b"),
        (SECRET, b"salu", b"a", b"b"),
        (SECRET, b"salt", b"ab", b""),
        (SECRET, b"salt", b"a"),
    ]
    assert len({derive(*one).reveal() for one in (base, *others)}) == 5
    assert derive(*base).reveal() == derive(*base).reveal()
