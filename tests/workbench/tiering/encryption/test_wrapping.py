"""A wrapped secret opens under its own key for its own purpose only."""

import pytest

from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.encryption.wrapping import WRAPPING_BYTES, unwrap, wrap

UNDER, SECRET = Secret(b"u" * 32), Secret(b"s" * 64)


def test_it_comes_back_and_never_looks_the_same():
    wrapped = wrap(UNDER, SECRET, b"for", b"this")
    assert len(wrapped) == 64 + WRAPPING_BYTES
    assert SECRET.reveal()[:8] not in wrapped
    assert unwrap(UNDER, wrapped, b"for", b"this").reveal() == SECRET.reveal()
    assert wrap(UNDER, SECRET, b"for", b"this") != wrapped


def test_another_key_another_purpose_and_every_changed_byte_are_refused():
    wrapped = wrap(UNDER, SECRET, b"for", b"this")
    attempts = [(Secret(b"v" * 32), wrapped, b"for", b"this"), (UNDER, wrapped, b"fort", b"his")]
    for at in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[at] ^= 1
        attempts.append((UNDER, bytes(changed), b"for", b"this"))
    for attempt in attempts:
        with pytest.raises(KeyTableError, match="restore"):
            unwrap(*attempt)
