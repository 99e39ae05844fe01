"""A secret is shown by nothing but `reveal`."""

import copy
import pickle

import pytest

from workbench.tiering.encryption.secret import SECRET_BYTES, Secret

CANARY = b"canary-canary-canary-canary-here"


def test_no_way_of_showing_it_shows_it():
    secret = Secret(CANARY)
    shown = (repr(secret), str(secret), f"{secret}", f"{secret!r}", repr([secret]))
    for text in shown:
        assert "canary" not in text
        assert CANARY.hex() not in text
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == CANARY


def test_it_is_neither_pickled_nor_copied():
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be pickled"):
            attempt(Secret(CANARY))


def test_random_ones_differ_and_halves_join():
    first, second = Secret.random(), Secret.random()
    assert len(first.reveal()) == SECRET_BYTES
    assert first.reveal() != second.reveal()
    one, other = first.joined(second).split()
    assert (one.reveal(), other.reveal()) == (first.reveal(), second.reveal())
